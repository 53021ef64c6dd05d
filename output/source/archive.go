package source

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/image"
	"github.com/imgbuild/imgbuild/disk/packed"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/layout"
	"github.com/imgbuild/imgbuild/output/members"
)

// endings are those of disk images in archives.
var endings = []string{".raw", ".img", ".qcow2", ".vmdk", ".vhd", ".vhdx"}

// maxDisks bounds the disks of a source.
const maxDisks = 256

// openArchive tells the archives apart by what is in them.
func (s *Source) openArchive(ctx context.Context, r disk.Reader, kind packed.Kind) error {
	list, err := members.Index(r, r.Size())
	if errors.Is(err, members.ErrSparse) {
		return s.unpackArchive(ctx, r, kind)
	}
	if err != nil {
		return err
	}
	has := func(match func(name string) bool) bool {
		return slices.ContainsFunc(list, func(m members.Member) bool { return match(m.Name) })
	}
	switch {
	case has(func(name string) bool { return strings.EqualFold(path.Ext(name), ".ovf") }):
		if kind != "" {
			return fault.New(fault.Input, fmt.Errorf("it is a compressed OVA (.%s)", kind), "unpack it first: what is in it is compressed already")
		}
		return s.openOVF(ctx, "ova")
	case has(func(name string) bool { return name == layout.IndexName }):
		return s.openLayout(ctx, layout.Archive(r, list), "oci"+suffix(kind))
	case has(func(name string) bool { return name == layout.SaveName }):
		if list, err = members.Linked(r, r.Size()); err != nil {
			return err
		}
		return s.openLayout(ctx, layout.Archive(r, list), "docker"+suffix(kind))
	}
	for _, m := range list {
		if isTemplate(m.Name) {
			if err := s.readTemplate(m.Name, io.NewSectionReader(m.In(r), 0, m.Size)); err != nil {
				return err
			}
			continue
		}
		s.addMember(m.Name, m.In(r), m.Size)
	}
	return s.nameArchive(kind)
}

// addMember adds a file of an archive: a disk, or something beside one.
func (s *Source) addMember(name string, r io.ReaderAt, n int64) {
	if !isDisk(name) {
		s.Beside = append(s.Beside, name)
		return
	}
	s.Disks = append(s.Disks, Disk{Name: name, Capacity: n, open: func() (disk.Reader, string, error) { return image.From(r, n) }})
}

func isDisk(name string) bool { return slices.Contains(endings, strings.ToLower(path.Ext(name))) }

// nameArchive finds out whose archive it is.
func (s *Source) nameArchive(kind packed.Kind) error {
	switch {
	case len(s.Disks) > maxDisks:
		return fmt.Errorf("it holds %d disks, more than %d", len(s.Disks), maxDisks)
	case s.template != nil:
		return s.describeTemplate()
	case len(s.Disks) == 0:
		s.Format = "tar"
	case slices.Contains(s.Beside, "metadata.json"):
		s.Format = "vagrant"
	case len(s.Disks) == 1 && len(s.Beside) == 0 && s.Disks[0].Name == "disk.raw":
		s.Format = "gcp"
	default:
		s.Format = "tar"
	}
	if s.Format != "gcp" { // which is always compressed
		s.Format += suffix(kind)
	}
	return nil
}

// unpackArchive reads an archive whose files are stored in pieces, as GNU tar
// stores sparse ones: its disks are unpacked.
func (s *Source) unpackArchive(ctx context.Context, r disk.Reader, kind packed.Kind) error {
	t := tar.NewReader(io.NewSectionReader(r, 0, r.Size()))
	for count := 0; ; count++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return s.nameArchive(kind)
		}
		if err != nil {
			return fmt.Errorf("reading member %d of the archive: %w", count, err)
		}
		if count == members.Max {
			return fmt.Errorf("the archive has more than %d members", members.Max)
		}
		if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeGNUSparse {
			continue
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		if isTemplate(name) {
			if err := s.readTemplate(name, t); err != nil {
				return err
			}
			continue
		}
		if !isDisk(name) || len(s.Disks) >= maxDisks {
			s.addMember(name, nil, 0)
			continue
		}
		d, err := packed.Spool(&cancelled{ctx, t}, limit)
		if err != nil {
			return fmt.Errorf("unpacking %s: %w", name, err)
		}
		s.hold(d)
		s.addMember(name, d, d.Size())
	}
}

// cancelled is a stream that ends with a context.
type cancelled struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancelled) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
