package ovf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/packed"
	"github.com/imgbuild/imgbuild/fault"
)

const (
	// maxChunks bounds how many chunks are opened for one file.
	maxChunks = 10000
	// maxUnpacked bounds what a file is unpacked into, in bytes.
	maxUnpacked = 64 << 40
)

// Wrapped reports whether the file is compressed or split into chunks.
func (f File) Wrapped() bool { return f.compression != "" || f.chunked }

// whole returns the content of a file as it is stored: its chunks one behind the
// other, if it has such. Their names are that of the file with a number of nine
// digits behind it (DSP0243 section 7.1).
func (p *Package) whole(f File) (io.ReaderAt, int64, error) {
	if !f.chunked {
		return p.files.open(f.Name)
	}
	var c chunks
	for i := range maxChunks {
		r, n, err := p.files.open(fmt.Sprintf("%s.%09d", f.Name, i))
		if err != nil && i > 0 {
			return &c, c.size, nil
		}
		if err != nil {
			return nil, 0, err
		}
		c.add(r, n)
	}
	return nil, 0, fmt.Errorf("%s has more than %d chunks", f.Name, maxChunks)
}

// unpacked returns what a file holds. One that is compressed is unpacked into
// a file without a name.
func (p *Package) unpacked(ctx context.Context, f File) (io.ReaderAt, int64, error) {
	r, n, err := p.whole(f)
	switch {
	case err != nil:
		return nil, 0, err
	case f.Size != 0 && n != f.Size && f.chunked:
		return nil, 0, fmt.Errorf("the chunks of %s have %d bytes, the descriptor says %d", f.Name, n, f.Size)
	case f.compression == "":
		return r, n, nil
	case f.compression != "gzip":
		return nil, 0, fault.New(fault.Input, fmt.Errorf("%s is compressed by %s, which is not supported", f.Name, f.compression))
	}
	d, err := packed.Open(ctx, r, n, maxUnpacked, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("unpacking %s: %w", f.Name, err)
	}
	p.spooled = append(p.spooled, d)
	return d, d.Size(), nil
}

// Close gives back the files of the package, those of its disks too.
func (p *Package) Close() error {
	errs := []error{p.files.Close()}
	for _, d := range p.spooled {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}

// chunks reads files that continue each other.
type chunks struct {
	parts []chunk
	size  int64
}

type chunk struct {
	io.ReaderAt
	disk.Extent // in the whole
}

func (c *chunks) add(r io.ReaderAt, n int64) {
	c.parts = append(c.parts, chunk{r, disk.Extent{Off: c.size, Len: n}})
	c.size += n
}

// ReadAt follows io.ReaderAt.
func (c *chunks) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("reading at a negative offset")
	}
	done := 0
	i := sort.Search(len(c.parts), func(i int) bool { return c.parts[i].End() > off })
	for ; i < len(c.parts) && done < len(p); i++ {
		part, at := c.parts[i], off+int64(done)
		want := p[done:min(int64(len(p)), int64(done)+part.End()-at)]
		n, err := part.ReadAt(want, at-part.Off)
		if done += n; n < len(want) {
			return done, err
		}
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}
