package qcow2

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/qcow2"
	"github.com/imgbuild/imgbuild/output"
)

// Text is a small file beside a disk, which tells a platform what to make of
// it.
type Text struct {
	Name    string
	Content []byte
	// Mode is 0644 when zero.
	Mode fs.FileMode
}

// DiskName is the name of the file of disk i: STEM.qcow2, and STEM-disk2.qcow2
// and so on for those that follow.
func DiskName(stem string, i int) string {
	if i == 0 {
		return stem + ".qcow2"
	}
	return fmt.Sprintf("%s-disk%d.qcow2", stem, i+1)
}

// Described begins a disk, with the disks that follow it, and texts beside them,
// for formats that are disks and their description. The disks are compressed
// with zlib: platforms run a QEMU of their own age, and all of them read it.
func Described(ctx context.Context, format string, dir *output.Dir, stem string, size int64, more []disk.Reader, texts ...Text) (output.Sink, error) {
	s := output.NewSetSink(format, dir)
	create := func(p *output.Pending, size int64) (disk.Sink, error) {
		return qcow2.Create(p, size, qcow2.Options{Compression: qcow2.Deflate})
	}
	p, err := s.Create(DiskName(stem, 0))
	if err != nil {
		return nil, err
	}
	p.HoldsDisk()
	for _, t := range texts {
		if err == nil {
			err = t.add(s)
		}
	}
	if err == nil {
		err = s.Encode(create(p, size))
	}
	if err != nil {
		s.Abort()
		return nil, err
	}
	s.Follow(ctx, more, func(i int) string { return DiskName(stem, i) }, create)
	return s, nil
}

// add writes the text, which is complete then.
func (t Text) add(s *output.SetSink) error {
	p, err := s.Create(t.Name)
	if err != nil {
		return err
	}
	if _, err := p.Write(t.Content); err != nil {
		return fmt.Errorf("writing %s: %w", t.Name, err)
	}
	if t.Mode == 0 {
		return nil
	}
	return p.Chmod(t.Mode)
}
