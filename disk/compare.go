package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// ErrDiffers is wrapped by the error of [Compare] for images that are not the
// same.
var ErrDiffers = errors.New("the images differ")

// Compare reads two images and returns an error that wraps [ErrDiffers] when
// one holds another byte than the other, with the offset of the block. What
// the longer has beyond the shorter must be zero, for containers round sizes.
// Holes of both are not read.
func Compare(ctx context.Context, a, b Reader) error {
	if a.Size() > b.Size() {
		a, b = b, a
	}
	c := &comparer{other: b}
	if err := Copy(ctx, a, nil, c); err != nil {
		return err
	}
	return c.Close()
}

// comparer is a sink that compares what it gets with another image.
type comparer struct {
	other Reader
	off   int64 // up to here both are the same
	buf   []byte
}

// WriteAt compares p with the bytes at off of the other image, which may hold
// only zeros before them.
func (c *comparer) WriteAt(p []byte, off int64) (int, error) {
	if err := c.zeros(off); err != nil {
		return 0, err
	}
	for done := 0; done < len(p); {
		got, err := c.read(off+int64(done), int64(len(p)-done))
		if err != nil {
			return done, err
		}
		if want := p[done:][:len(got)]; !bytes.Equal(got, want) {
			return done, differ(off+int64(done), want, got)
		}
		done += len(got)
	}
	c.off = off + int64(len(p))
	return len(p), nil
}

// Close checks that the rest of the other image is zero.
func (c *comparer) Close() error { return c.zeros(c.other.Size()) }

// zeros checks that the other image is zero up to end.
func (c *comparer) zeros(end int64) error {
	for c.off < end {
		e, err := nextData(c.other, c.off)
		if errors.Is(err, io.EOF) || err == nil && e.Off >= end {
			return nil
		}
		if err != nil {
			return err
		}
		for c.off = e.Off; c.off < min(e.End(), end); {
			got, err := c.read(c.off, min(e.End(), end)-c.off)
			if err != nil {
				return err
			}
			if !IsZero(got) {
				return differ(c.off, make([]byte, len(got)), got)
			}
			c.off += int64(len(got))
		}
	}
	return nil
}

// read returns at most a window of the other image. The next call overwrites
// it.
func (c *comparer) read(off, n int64) ([]byte, error) {
	if c.buf == nil {
		c.buf = make([]byte, windowSize)
	}
	p := c.buf[:min(n, windowSize)]
	return p, readFull(c.other, p, off)
}

// differ tells where two ranges of the same length, at off, begin to differ.
func differ(off int64, a, b []byte) error {
	n := 0
	for n < len(a) && a[n] == b[n] {
		n++
	}
	return fmt.Errorf("%w at offset %d", ErrDiffers, off+int64(n))
}
