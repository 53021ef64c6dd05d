package xva

import (
	"context"
	"fmt"
	"io"
	"sort"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/internal/layer"
)

// Find returns the disk of a folder.
func (a *Archive) Find(name string) (Disk, bool) {
	for _, d := range a.Disks {
		if d.Name == name {
			return d, true
		}
	}
	return Disk{}, false
}

// Reader returns a disk of size bytes, which the description tells; a size of
// 0 stands for the end of its last chunk.
func (a *Archive) Reader(d Disk, size int64) (disk.Reader, error) {
	if size == 0 {
		size = d.end
	}
	if size < 0 || size > MaxSize {
		return nil, fmt.Errorf("opening disk %s: a size of %d bytes is out of range", d.Name, size)
	}
	if d.end > size {
		return nil, fmt.Errorf("opening disk %s: its chunks end at %d, it has %d bytes", d.Name, d.end, size)
	}
	return layer.Reader("XVA", content{a.r, d.chunks, size}, nil), nil
}

// content is a layer.Layer.
type content struct {
	r      io.ReaderAt
	chunks []chunk
	size   int64
}

func (c content) Size() int64 { return c.size }

// from returns the number of the first chunk that ends behind off.
func (c content) from(off int64) int {
	return sort.Search(len(c.chunks), func(i int) bool { return c.chunks[i].off+c.chunks[i].n > off })
}

func (c content) Find(off int64) (layer.Kind, int64, error) {
	i := c.from(off)
	switch {
	case i == len(c.chunks):
		return layer.Zero, c.size - off, nil
	case c.chunks[i].off > off:
		return layer.Zero, c.chunks[i].off - off, nil
	}
	k := c.chunks[i]
	return layer.InFile(c.r, k.at+off-k.off, k.off+k.n-off)
}

func (c content) ReadData(p []byte, off int64) error {
	k := c.chunks[c.from(off)]
	if n, err := c.r.ReadAt(p, k.at+off-k.off); n < len(p) {
		return err
	}
	return nil
}

// Verify compares the chunks of a disk with their checksums. wrong is told the
// name of each that differs, and of each without one.
func (a *Archive) Verify(ctx context.Context, d Disk, wrong func(name, problem string)) error {
	if d.Checksum == "" {
		return nil
	}
	h, err := d.Checksum.new()
	if err != nil {
		return err
	}
	buf := make([]byte, chunkSize)
	for _, k := range d.chunks {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := fmt.Sprintf("%s, %d bytes at %d", d.Name, k.n, k.off)
		if k.sum == 0 {
			wrong(name, "there is no checksum")
			continue
		}
		h.Reset()
		// The type is for a hash that would read by itself, in small pieces.
		if _, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{io.NewSectionReader(a.r, k.at, k.n)}, buf); err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		want := d.Checksum.text(h)
		got := make([]byte, len(want))
		if _, err := a.r.ReadAt(got, k.sum); err != nil {
			return fmt.Errorf("reading the checksum of %s: %w", name, err)
		}
		if string(got) != want {
			wrong(name, fmt.Sprintf("its checksum is %s, it should be %.64q", want, got))
		}
	}
	return nil
}
