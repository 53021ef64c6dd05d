package clean

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
	input "github.com/imgbuild/imgbuild/output/source"
)

// source is what holds the disks.
type source struct {
	path   string
	format string
	disks  []sourceDisk
	held   []io.Closer
}

// sourceDisk is a disk that is open for reading.
type sourceDisk struct {
	disk.Reader
	name   string // of its file in a package
	format string
}

// openSource opens the image at path, whatever it is.
func openSource(ctx context.Context, path string, opts Options) (*source, error) {
	s := &source{path: path}
	err := s.open(ctx)
	if err == nil && opts.InPlace && s.format != "raw" {
		err = fault.New(fault.Usage, fmt.Errorf("%s is not a raw image", path),
			"leave out --in-place: a container is written anew, so that none of its old bytes survives")
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *source) open(ctx context.Context) error {
	if err := s.refuseInUse(); err != nil {
		if len(fault.HintsOf(err)) > 0 {
			return err // it tells the path
		}
		return s.unreadable(ctx, err)
	}
	src, err := input.Open(ctx, s.path)
	if err != nil {
		return s.unreadable(ctx, err)
	}
	s.held = append(s.held, src)
	s.format = src.Format
	for _, d := range src.Disks {
		if d.Blank {
			continue
		}
		r, format, err := d.Open()
		if err != nil {
			return s.unreadable(ctx, err)
		}
		s.disks = append(s.disks, sourceDisk{r, d.Name, format})
	}
	if len(s.disks) == 0 {
		return s.unreadable(ctx, errors.New("there is no disk in it"))
	}
	return nil
}

// refuseInUse refuses a device that the machine uses.
func (s *source) refuseInUse() error {
	f, err := os.Open(s.path)
	if err != nil {
		return nil // whoever opens it will tell
	}
	defer f.Close()
	return refuseInUse(f)
}

func (s *source) unreadable(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil {
		return cause
	}
	if len(fault.HintsOf(err)) > 0 {
		return fault.New(fault.Input, fmt.Errorf("opening %s: %w", s.path, err))
	}
	return fault.New(fault.Input, fmt.Errorf("opening %s: %w", s.path, err),
		"name a disk image, a block device, or a package: an OVA, loose files by their .ovf, a template of Oracle VM, an export of XenServer")
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
