// Package raw is the container that is none: the bytes of the disk, one to
// one, in a sparse file.
package raw

import (
	"io"
	"os"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/internal/blocks"
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
	place := func(off int64, p []byte) error {
		_, err := f.WriteAt(p, off)
		return err
	}
	return blocks.NewRuns(size, max(size, 1), place), nil
}
