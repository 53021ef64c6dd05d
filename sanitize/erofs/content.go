package erofs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"sync"

	"github.com/imgbuild/imgbuild/sanitize"
)

// content reads a file through its map. It keeps the last decompressed piece.
type content struct {
	f      *filesystem
	pieces []piece
	size   int64
	packed sanitize.Content // nil without fragments

	mu    sync.Mutex
	last  int // index of the piece in cache, plus one
	cache []byte
	raw   []byte // what cache was unpacked from
}

func (f *filesystem) content(ctx context.Context, n *inode) (sanitize.Content, error) {
	m, err := f.mapping(ctx, n)
	if err != nil {
		return nil, err
	}
	c := &content{f: f, pieces: m.pieces, size: n.size}
	for _, p := range m.pieces {
		if p.how == fragment && c.packed == nil {
			if n.nid == f.packed || f.packed == 0 {
				return nil, errors.New("a fragment without a packed inode")
			}
			packed, err := f.inode(f.packed)
			if err != nil {
				return nil, err
			}
			if c.packed, err = f.content(ctx, packed); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

// ReadAt follows io.ReaderAt.
func (c *content) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("reading at a negative offset")
	}
	done := 0
	for done < len(p) && off < c.size {
		i := sort.Search(len(c.pieces), func(i int) bool { return c.pieces[i].logical+c.pieces[i].length > off })
		if i == len(c.pieces) {
			return done, fmt.Errorf("byte %d is not mapped", off)
		}
		x := c.pieces[i]
		part := p[done:min(int64(len(p)), int64(done)+x.logical+x.length-off)]
		if err := c.read(part, i, off-x.logical); err != nil {
			return done, fmt.Errorf("reading the piece at byte %d: %w", x.logical, err)
		}
		done += len(part)
		off += int64(len(part))
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// read fills p from byte in of piece i.
func (c *content) read(p []byte, i int, in int64) error {
	switch x := c.pieces[i]; x.how {
	case hole:
		clear(p)
		return nil
	case stored:
		return sanitize.ReadFull(c.f.r, p, x.phys+in)
	case fragment:
		return sanitize.ReadFull(c.packed, p, x.phys+in)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != i+1 {
		c.last = 0
		if err := c.unpack(c.pieces[i]); err != nil {
			return err
		}
		c.last = i + 1
	}
	copy(p, c.cache[in:])
	return nil
}

// unpack fills the cache with the whole content of a piece.
func (c *content) unpack(x piece) (err error) {
	if c.raw, err = c.f.readInto(c.raw, x.phys, x.stored); err != nil {
		return err
	}
	if x.how == rotated {
		// Bytes keep their place relative to block borders, so what is
		// ahead of the border is stored last (kernel,
		// z_erofs_transform_plain).
		shift := x.logical % c.f.block
		head := min(x.length, c.f.block-shift)
		if shift+head > x.stored {
			return fmt.Errorf("%d bytes do not hold a piece of %d", x.stored, x.length)
		}
		c.cache = append(append(c.cache[:0], c.raw[shift:shift+head]...), c.raw[:x.length-head]...)
		return nil
	}
	if x.algorithm != algorithmLZ4 {
		return fmt.Errorf("algorithm %d is not supported", x.algorithm)
	}
	// A match of LZ4 yields at most 255 bytes for each of its own.
	if x.length > x.stored*256 {
		return fmt.Errorf("%d bytes in a piece of %d", x.length, x.stored)
	}
	packed := c.raw
	if c.f.zeroPadding {
		// The data stands at the end of its blocks; the padding ends
		// within the first of them.
		for n := min(c.f.block, x.stored); n > 0 && packed[0] == 0; n-- {
			packed = packed[1:]
		}
	}
	c.cache = slices.Grow(c.cache[:0], int(x.length))[:x.length]
	return unpackLZ4(c.cache, packed)
}
