package convert

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/image"
	"github.com/imgbuild/imgbuild/disk/packed"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/members"
	"github.com/imgbuild/imgbuild/output/ovf"
)

// source is what is converted.
type source struct {
	format     string
	disk       disk.Reader
	diskFormat string
	// about is the package that the disk is of, nil for a disk alone; chosen
	// is the disk in it.
	about  *ovf.Package
	chosen ovf.Disk
	io.Closer
}

// sniffed is how much of a file is looked at to tell a descriptor.
const sniffed = 4096

// openSource opens a disk, or one disk of a package.
func openSource(ctx context.Context, path, name string) (*source, error) {
	format, kind, err := sniff(path)
	if err != nil {
		return nil, unreadable(fmt.Errorf("opening %s: %w", path, err))
	}
	if format != "" {
		return openPackage(path, format, name)
	}
	if name != "" {
		return nil, fault.New(fault.Usage, fmt.Errorf("%s is a disk, not a package of some", path), "leave --disk out")
	}
	if kind != "" {
		return openPacked(ctx, path, kind)
	}
	d, format, closer, err := image.Open(path)
	if err != nil {
		return nil, unreadable(fmt.Errorf("opening %w", err))
	}
	return &source{format: format, disk: d, diskFormat: format, Closer: closer}, nil
}

// unreadable is an error of a source, with a hint if it brings none.
func unreadable(err error) error {
	switch {
	case len(fault.HintsOf(err)) > 0:
		return fault.New(fault.Input, err)
	case errors.Is(err, fs.ErrNotExist):
		return fault.New(fault.Input, err, "check the path")
	case errors.Is(err, fs.ErrPermission):
		return fault.New(fault.Input, err, "you need the right to read it")
	}
	return fault.New(fault.Input, err, "it may be damaged or cut short: compare its size and digest with what its maker says")
}

// openPacked unpacks a compressed image into a file without a name. Other
// files that the image inside may name are not followed.
func openPacked(ctx context.Context, path string, kind packed.Kind) (*source, error) {
	f, err := disk.OpenFile(path)
	if err != nil {
		return nil, unreadable(err)
	}
	defer f.Close()
	const limit = 64 << 40 // what the largest container holds
	plain, err := packed.Open(ctx, f, f.Size(), limit, nil)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, unreadable(fmt.Errorf("opening %s: %w", path, err))
	}
	d, format, err := image.From(plain, plain.Size())
	if err != nil {
		return nil, errors.Join(unreadable(fmt.Errorf("opening %s: %w", path, err)), plain.Close())
	}
	return &source{format: format + "." + string(kind), disk: d, diskFormat: format, Closer: plain}, nil
}

// sniff returns "ova" or "ovf" for a package, and how a file is compressed.
func sniff(path string) (string, packed.Kind, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", "", errors.Unwrap(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fault.New(fault.Input, errors.New("it is a folder"), "name the image in it, or the .ovf of a package")
	}
	if err != nil {
		return "", "", err
	}
	head := make([]byte, sniffed)
	n, err := f.ReadAt(head, 0)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return "", "", err
	case members.Is(f):
		return "ova", "", nil
	case ovf.IsDescriptor(head[:n]):
		return "ovf", "", nil
	}
	return "", packed.KindOf(head[:n]), nil
}

// openPackage opens the disk of that name, or the only one.
func openPackage(path, format, name string) (*source, error) {
	p, err := ovf.Open(path)
	if err != nil {
		return nil, unreadable(err)
	}
	s := &source{format: format, about: p, Closer: p}
	var found []ovf.Disk
	var names []string
	for _, d := range p.Disks {
		if d.File == "" {
			continue // it is blank
		}
		file := fileName(p, d)
		names = append(names, file)
		if name == "" || name == d.ID || name == file {
			found = append(found, d)
		}
	}
	if len(found) != 1 {
		err := fmt.Errorf("%s holds %d disks", path, len(names))
		if name != "" {
			err = fmt.Errorf("%s holds no disk %q", path, name)
		}
		return nil, errors.Join(fault.New(fault.Usage, err, "name one with --disk: "+strings.Join(names, ", ")), p.Close())
	}
	s.chosen = found[0]
	if s.disk, s.diskFormat, err = p.OpenDisk(s.chosen); err != nil {
		return nil, errors.Join(unreadable(fmt.Errorf("%s: %w", path, err)), p.Close())
	}
	return s, nil
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
