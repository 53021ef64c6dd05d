package clean

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/image"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/members"
	"github.com/imgbuild/imgbuild/output/ovf"
)

// source is what holds the disks.
type source struct {
	path  string
	disks []sourceDisk
	held  []io.Closer
}

// sourceDisk is a disk that is open for reading.
type sourceDisk struct {
	disk.Reader
	name   string // of its file in a package
	format string
}

// sniffed is how much of a file is looked at to tell a descriptor, in bytes.
const sniffed = 4096

// openSource opens the image at path, whatever it is.
func openSource(path string, opts Options) (*source, error) {
	s := &source{path: path}
	err := s.open()
	if err == nil && opts.InPlace && (len(s.disks) != 1 || s.disks[0].format != "raw" || s.disks[0].name != "") {
		err = fault.New(fault.Usage, fmt.Errorf("%s is not a raw image", path),
			"leave out --in-place: a container is written anew, so that none of its old bytes survives")
	}
	if err == nil {
		return s, nil
	}
	s.Close()
	if at := (*fs.PathError)(nil); errors.As(err, &at) && at.Path == path {
		err = at.Err // the path need not be told twice
	}
	if len(fault.HintsOf(err)) > 0 {
		return nil, err
	}
	return nil, fault.New(fault.Input, fmt.Errorf("opening %s: %w", path, err),
		"name a disk image, a block device, or an OVF package: an OVA, or loose files by their .ovf")
}

func (s *source) open() error {
	f, err := os.Open(s.path)
	if err != nil {
		return err
	}
	s.held = append(s.held, f)
	if err := refuseInUse(f); err != nil {
		return err
	}
	head := make([]byte, sniffed)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if members.Is(f) || ovf.IsDescriptor(head[:n]) {
		return s.openPackage()
	}
	r, format, closer, err := image.Open(s.path)
	if err != nil {
		return err
	}
	s.held = append(s.held, closer)
	s.disks = append(s.disks, sourceDisk{Reader: r, format: format})
	return nil
}

// openPackage opens all disks of an OVF package.
func (s *source) openPackage() error {
	p, err := ovf.Open(s.path)
	if err != nil {
		return err
	}
	s.held = append(s.held, p)
	for _, d := range p.Disks {
		if d.File == "" {
			continue // blank
		}
		r, format, err := p.OpenDisk(d)
		if err != nil {
			return err
		}
		s.disks = append(s.disks, sourceDisk{r, fileName(p, d), format})
	}
	if len(s.disks) == 0 {
		return errors.New("the package has no disk")
	}
	return nil
}

// fileName returns the name of the file that holds a disk.
func fileName(p *ovf.Package, d ovf.Disk) string {
	for _, f := range p.Files {
		if f.ID == d.File {
			return f.Name
		}
	}
	return d.ID
}

// label names a disk for people.
func (s *source) label(d sourceDisk) string {
	if d.name == "" {
		return s.path
	}
	return s.path + ", disk " + d.name
}

// Close gives back what is open.
func (s *source) Close() error {
	var errs []error
	for _, c := range s.held {
		errs = append(errs, c.Close())
	}
	s.held = nil
	return errors.Join(errs...)
}

// stem is the last element of a path without its ending.
func stem(path string) string {
	base := filepath.Base(path)
	return strings.TrimSuffix(base, filepath.Ext(base))
}
