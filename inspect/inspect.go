// Package inspect tells what is in an image that somebody hands over, whoever
// made it: a disk (raw, qcow2, VMDK, VHD, VHDX), an OVF package (OVA or loose
// files), an archive that holds a disk, or a container image (an OCI layout, or
// what `docker save` writes), compressed or not.
//
//	report, err := inspect.Read(ctx, "hello.ova")
//	err = report.WriteText(os.Stdout)
//
// A report holds the machine that a package describes and the verdict on its
// manifest; for each disk the partitions, their filesystems, and whose every
// byte is, as the sanitize package sees it; the files of boot partitions; for
// a container image its configuration, its layers, and whether the blobs are
// what they are called. Nothing is written; only what is compressed is
// unpacked, as output/source tells.
//
// What a report takes from an image is foreign text: WriteText shows control
// characters as escapes, so that a name cannot steer the terminal.
package inspect

import (
	"context"
	"errors"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/ovf"
	"github.com/imgbuild/imgbuild/output/source"
)

// Report is what an image holds. Sizes and offsets are in bytes.
type Report struct {
	Path string `json:"path"`
	// Format is raw, qcow2, vmdk, vhd, vhdx, ova, ovf, ovm, xva, gcp, vagrant,
	// tar, oci or docker, and behind a dot how it is compressed.
	Format string `json:"format"`
	// Size is that of the file, Allocated the space it takes on disk.
	Size      int64 `json:"size"`
	Allocated int64 `json:"allocated"`
	// Package is set where machines are described, Images for container images.
	Package *Package `json:"package,omitempty"`
	Disks   []Disk   `json:"disks,omitempty"`
	Images  []Image  `json:"images,omitempty"`
	// Beside names the other files of an archive that holds a disk.
	Beside []string `json:"beside,omitempty"`
}

// Package describes machines, in the form of an OVF descriptor.
type Package struct {
	// Descriptor is the name of the descriptor.
	Descriptor string `json:"descriptor"`
	ovf.Description
	Manifest ovf.Verdict `json:"manifest"`
}

// Read inspects the image at path. What cannot be read as an image is an error
// of kind [fault.Input]; what is merely odd is in the report.
func Read(ctx context.Context, path string) (*Report, error) {
	r := &Report{Path: path}
	err := r.read(ctx)
	if err == nil {
		return r, nil
	}
	if cause := ctx.Err(); cause != nil {
		return nil, cause
	}
	return nil, fmt.Errorf("inspecting %s: %w", path, source.Unreadable(path, err))
}

func (r *Report) read(ctx context.Context) error {
	s, err := source.Open(ctx, r.Path)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Refuse(); err != nil {
		return err
	}
	r.Format, r.Beside = s.Format, s.Beside
	if r.Size, r.Allocated, err = s.Measure(); err != nil {
		return err
	}
	if s.Package != nil {
		r.Package = &Package{Descriptor: s.Package.Descriptor, Description: s.Package.Description}
		if r.Package.Manifest, err = s.Package.Verify(ctx); err != nil {
			return err
		}
	}
	if s.Layout != nil {
		if err := r.readLayout(ctx, s.Layout); err != nil {
			return err
		}
	}
	return r.readDisks(ctx, s)
}

// readDisks inspects the disks of a source.
func (r *Report) readDisks(ctx context.Context, s *source.Source) error {
	for _, d := range s.Disks {
		report := Disk{Name: d.Name}
		if d.Blank {
			report.Size, report.Format = d.Capacity, "blank"
			r.Disks = append(r.Disks, report)
			continue
		}
		k, format, err := d.Open()
		if err == nil {
			report.Format = format
			err = report.read(ctx, k)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && d.Name == "":
			return source.Unreadable(r.Path, err)
		case err != nil:
			// The rest of the package is still worth telling.
			report.Error = err.Error()
		case report.unlikely():
			return fault.New(fault.Input, errors.New("it is no image of a known kind"),
				"disks are raw, qcow2, VMDK, VHD or VHDX; packages are OVA, or OVF by their .ovf; container images are archives or OCI layouts")
		}
		r.Disks = append(r.Disks, report)
	}
	return nil
}

// unlikely tells a raw image that hardly is one. Every file can be: only its
// content tells.
func (d *Disk) unlikely() bool {
	return d.Name == "" && d.Format == "raw" && !d.recognised() && (d.Size == 0 || d.Size%disk.SectorSize != 0)
}
