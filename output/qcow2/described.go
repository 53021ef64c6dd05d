package qcow2

import (
	"fmt"
	"io/fs"

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

// Described begins a disk of that name with texts beside it, for formats that
// are a disk and its description. The disk is compressed with zlib: platforms
// run a QEMU of their own age, and all of them read it.
func Described(format string, dir *output.Dir, name string, size int64, texts ...Text) (output.Sink, error) {
	s := output.NewSetSink(format, dir)
	p, err := s.Create(name)
	if err != nil {
		return nil, err
	}
	p.HoldsDisk()
	for _, t := range texts {
		if err := t.add(s); err != nil {
			s.Abort()
			return nil, err
		}
	}
	enc, err := qcow2.Create(p, size, qcow2.Options{Compression: qcow2.Deflate})
	if err := s.Encode(enc, err); err != nil {
		s.Abort()
		return nil, err
	}
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
