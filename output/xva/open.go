package xva

import (
	"context"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk"
	container "github.com/imgbuild/imgbuild/disk/xva"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/ovf"
)

// Package is an export that is open for reading.
type Package struct {
	ovf.Description

	archive *container.Archive
	sizes   map[string]int64
}

// Open opens the export in the n bytes of r.
func Open(r io.ReaderAt, n int64) (*Package, error) {
	a, err := container.Open(r, n)
	if err != nil {
		return nil, fault.New(fault.Input, err)
	}
	o, err := read(a.Description)
	if err != nil {
		return nil, fault.New(fault.Input, err)
	}
	p := &Package{archive: a}
	if p.Description, p.sizes, err = o.describe(a); err != nil {
		return nil, fault.New(fault.Input, err)
	}
	return p, nil
}

// OpenDisk opens a disk of the export in its place; its format is "xva".
func (p *Package) OpenDisk(d ovf.Disk) (disk.Reader, string, error) {
	k, ok := p.archive.Find(d.File)
	if !ok || d.File == "" {
		return nil, "", fmt.Errorf("disk %s has no content", d.ID)
	}
	r, err := p.archive.Reader(k, p.sizes[d.File])
	return r, "xva", err
}

// Verify compares the chunks of all disks with their checksums. The error is
// for what could not be read at all.
func (p *Package) Verify(ctx context.Context) (ovf.Verdict, error) {
	v := ovf.Verdict{State: ovf.NoManifest}
	for _, d := range p.archive.Disks {
		switch d.Checksum {
		case container.SHA1:
			v.Algorithm = "SHA1"
		case container.XXH64:
			v.Algorithm = "XXH64"
		default:
			continue
		}
		if v.State == ovf.NoManifest {
			v.State = ovf.Valid
		}
		const most = 100
		err := p.archive.Verify(ctx, d, func(name, problem string) {
			if v.State = ovf.Broken; len(v.Problems) < most {
				v.Problems = append(v.Problems, name+": "+problem)
			}
		})
		if err != nil {
			return v, err
		}
	}
	return v, nil
}
