// Package raw is the container that is none: the bytes of the disk, one to
// one, in a sparse file.
package raw

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/imgbuild/imgbuild/disk"
)

// Open returns the size bytes of r as a disk. When r is itself a disk of that
// size, its holes are known; otherwise everything counts as data.
func Open(r io.ReaderAt, size int64) (disk.Reader, error) {
	if d, ok := r.(disk.Reader); ok && d.Size() == size {
		return d, nil
	}
	if f, ok := r.(*os.File); ok {
		if d, err := disk.NewFile(f); err == nil && d.Size() == size {
			return d, nil
		}
	}
	return plain{io.NewSectionReader(r, 0, size)}, nil
}

// plain is a disk without holes.
type plain struct{ *io.SectionReader }

func (p plain) NextData(off int64) (disk.Extent, error) {
	if off < 0 || off >= p.Size() {
		return disk.Extent{}, io.EOF
	}
	return disk.Extent{Off: off, Len: p.Size() - off}, nil
}

// Create returns a sink that writes a disk of size bytes into f, which must be
// an empty regular file. Close does not close f.
func Create(f *os.File, size int64) (disk.Sink, error) {
	if err := f.Truncate(size); err != nil {
		return nil, err
	}
	return &sink{f: f, size: size}, nil
}

type sink struct {
	f    *os.File
	size int64
	next int64 // the offset before which no write may begin
	err  error
}

// WriteAt leaves blocks of zeros out: the file begins as one hole.
func (s *sink) WriteAt(p []byte, off int64) (int, error) {
	if s.err == nil {
		s.err = s.check(off, int64(len(p)))
	}
	if s.err != nil {
		return 0, s.err
	}
	disk.DataRuns(p, off, func(e disk.Extent) {
		if s.err == nil {
			_, s.err = s.f.WriteAt(p[e.Off-off:][:e.Len], e.Off)
		}
	})
	s.next = off + int64(len(p))
	return len(p), s.err
}

func (s *sink) check(off, n int64) error {
	if off < s.next {
		return fmt.Errorf("writing at offset %d after %d: offsets must ascend", off, s.next)
	}
	if off > s.size || n > s.size-off {
		return fmt.Errorf("writing %d bytes at offset %d: beyond the disk of %d bytes", n, off, s.size)
	}
	return nil
}

// Close returns the first error of the writes.
func (s *sink) Close() error {
	err := s.err
	if err == nil {
		s.err = errors.New("writing to a disk that is closed")
	}
	return err
}
