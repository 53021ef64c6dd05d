package source

import (
	"context"
	"fmt"
	"io"
	"path"
	"slices"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/packed"
	container "github.com/imgbuild/imgbuild/disk/xva"
	"github.com/imgbuild/imgbuild/output/ovf"
	"github.com/imgbuild/imgbuild/output/ovm"
	"github.com/imgbuild/imgbuild/output/xva"
)

// Package describes the machines of a source. Whatever its kind, it has the
// form of an OVF descriptor.
type Package struct {
	// Descriptor is the name of the file that says it.
	Descriptor string
	ovf.Description

	verify func(context.Context) (ovf.Verdict, error)
}

// Verify compares the files of the package, or the pieces of its disks, with
// the digests that it has.
func (p *Package) Verify(ctx context.Context) (ovf.Verdict, error) {
	if p.verify == nil {
		return ovf.Verdict{State: ovf.NoManifest}, nil
	}
	return p.verify(ctx)
}

// fileName returns the name of the file that holds a disk, or the disk's ID.
func (p *Package) fileName(d ovf.Disk) string {
	for _, f := range p.Files {
		if f.ID == d.File && d.File != "" {
			return f.Name
		}
	}
	return d.ID
}

// addDisks adds all disks of the package.
func (s *Source) addDisks(open func(ovf.Disk) (disk.Reader, string, error)) {
	for _, d := range s.Package.Disks {
		s.Disks = append(s.Disks, Disk{
			ID: d.ID, Name: s.Package.fileName(d), Capacity: d.Capacity, Blank: d.File == "",
			open: func() (disk.Reader, string, error) { return open(d) },
		})
	}
}

// openOVF takes over the disks of an OVF package.
func (s *Source) openOVF(ctx context.Context, format string) error {
	p, err := ovf.Open(s.Path)
	if err != nil {
		return err
	}
	s.hold(p)
	s.Format, s.Package = format, &Package{p.Descriptor, p.Description, p.Verify}
	s.addDisks(func(d ovf.Disk) (disk.Reader, string, error) { return p.OpenDisk(ctx, d) })
	return nil
}

// openExport takes over the disks of a machine that XenServer exported.
func (s *Source) openExport(r disk.Reader, kind packed.Kind) error {
	p, err := xva.Open(r, r.Size())
	if err != nil {
		return err
	}
	s.Format, s.Package = "xva"+suffix(kind), &Package{container.DescriptionName, p.Description, p.Verify}
	s.addDisks(p.OpenDisk)
	return nil
}

// isTemplate reports whether a file of an archive describes a template of
// Oracle VM. It may lie in a folder.
func isTemplate(name string) bool { return path.Base(name) == ovm.ConfigName }

// readTemplate reads that file.
func (s *Source) readTemplate(name string, r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, ovm.MaxConfig+1))
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	s.template, s.templateName = text, name
	return nil
}

// describeTemplate makes the archive whose disks were found a template.
func (s *Source) describeTemplate() error {
	files := []ovf.File{}
	for _, d := range s.Disks {
		files = append(files, ovf.File{ID: d.Name, Name: d.Name, Size: d.Capacity})
	}
	d, err := ovm.Describe(s.template, files)
	if err != nil {
		return err
	}
	for i, k := range s.Disks {
		if at := slices.IndexFunc(d.Disks, func(o ovf.Disk) bool { return o.File == k.Name }); at >= 0 {
			s.Disks[i].ID = d.Disks[at].ID
		} else {
			d.Notes = append(d.Notes, fmt.Sprintf("no machine has the disk %s", k.Name))
		}
	}
	s.Format, s.Package = "ovm", &Package{Descriptor: s.templateName, Description: d}
	return nil
}
