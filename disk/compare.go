package disk

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"
)

// ErrDiffers is wrapped by the error of [Compare] for images that are not the
// same.
var ErrDiffers = errors.New("the images differ")

// comparedPiece is what one processor compares at a time, in bytes.
const comparedPiece = 8 << 20

// Compare reads two images on all processors and returns an error that wraps
// [ErrDiffers] when one holds another byte than the other, with the offset of
// the first. What the longer has beyond the shorter must be zero, for
// containers round sizes. Holes of both are not read.
func Compare(ctx context.Context, a, b Reader) error {
	if a.Size() > b.Size() {
		a, b = b, a
	}
	var jobs errgroup.Group
	jobs.SetLimit(runtime.GOMAXPROCS(0))
	var first firstError
	for off, err := int64(0), error(nil); off < b.Size(); off += comparedPiece {
		if off, err = either(a, b, off); errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			first.add(off, err)
		}
		if first.before(off) || ctx.Err() != nil {
			break
		}
		jobs.Go(func() error {
			first.add(off, comparePiece(ctx, a, b, off))
			return nil
		})
	}
	jobs.Wait()
	return cmp.Or(first.err, ctx.Err())
}

// either returns where the next data of one of two images begin.
func either(a, b Reader, off int64) (int64, error) {
	at := int64(math.MaxInt64)
	for _, r := range []Reader{a, b} {
		if off >= r.Size() {
			continue
		}
		e, err := nextData(r, off)
		if errors.Is(err, io.EOF) {
			continue
		}
		if err != nil {
			return off, err
		}
		at = min(at, e.Off)
	}
	if at == math.MaxInt64 {
		return off, io.EOF
	}
	return at, nil
}

// comparePiece compares the piece at off, of which the first image may have less.
func comparePiece(ctx context.Context, a, b Reader, off int64) error {
	part := func(r Reader) Reader { return Section(r, off, max(min(comparedPiece, r.Size()-off), 0)) }
	c := &comparer{base: off, other: part(b)}
	if off < a.Size() {
		if err := Copy(ctx, part(a), nil, c); err != nil {
			return err
		}
	}
	return c.Close()
}

// firstError keeps the error with the lowest offset.
type firstError struct {
	mu  sync.Mutex
	off int64
	err error
}

func (f *firstError) add(off int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil && (f.err == nil || off < f.off) {
		f.off, f.err = off, err
	}
}

// before reports whether there is an error at off or lower.
func (f *firstError) before(off int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err != nil && f.off <= off
}

// comparer is a sink that compares what it gets with another image.
type comparer struct {
	base  int64 // what offsets count from, for errors
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
			return done, differ(c.base+off+int64(done), want, got)
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
				return differ(c.base+c.off, make([]byte, len(got)), got)
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
