package qcow2

import (
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

// Described begins a disk of that name with texts beside it, for formats that
// are a disk and its description. The disk is compressed with zlib: platforms
// run a QEMU of their own age, and all of them read it.
func Described(format string, dir *output.Dir, name string, size int64, texts ...Text) (output.Sink, error) {
	p, err := dir.Create(name)
	if err != nil {
		return nil, err
	}
	s := &describedSink{format: format, files: []*output.Pending{p}}
	for _, t := range texts {
		if err := s.add(dir, t); err != nil {
			output.AbortAll(s.files...)
			return nil, err
		}
	}
	if s.Sink, err = qcow2.Create(p, size, qcow2.Options{Compression: qcow2.Deflate}); err != nil {
		output.AbortAll(s.files...)
		return nil, err
	}
	return s, nil
}

// describedSink is a disk and texts that are complete.
type describedSink struct {
	disk.Sink
	format string
	files  []*output.Pending
}

func (s *describedSink) add(dir *output.Dir, t Text) error {
	p, err := dir.Create(t.Name)
	if err != nil {
		return err
	}
	s.files = append(s.files, p)
	if _, err := p.Write(t.Content); err != nil {
		return fmt.Errorf("writing %s: %w", t.Name, err)
	}
	if t.Mode == 0 {
		return nil
	}
	return p.Chmod(t.Mode)
}

// Commit implements output.Sink.
func (s *describedSink) Commit() ([]output.File, error) { return output.Commit(s.format, s.files...) }

// Abort implements output.Sink.
func (s *describedSink) Abort() {
	// What Close says of a file that is dropped does not matter.
	_ = s.Sink.Close()
	output.AbortAll(s.files...)
}
