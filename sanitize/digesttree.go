package sanitize

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"runtime"
	"slices"

	"github.com/zeebo/xxh3"
	"golang.org/x/sync/errgroup"
)

// batchFiles is how many files go through the hash together, and batchesAhead
// how many of these are read ahead.
const (
	batchFiles   = 32
	batchesAhead = 16
)

// batch is a row of files on their way into the digest.
type batch struct {
	files []File
	heads [][]byte // all but the contents
	sums  [][]byte
	done  chan struct{}
}

// digestTree hashes a live tree: for each file, in the order of the walk, what
// is told of it and the hash of its content. Contents are hashed on all
// processors, by XXH3 of 128 bits: the digest finds what a scrub damaged, and
// nobody gains from a file that collides with itself.
func digestTree(ctx context.Context, h hash.Hash, w Walker) error {
	tasks, ctx := errgroup.WithContext(ctx)
	queue, work := make(chan *batch, batchesAhead), make(chan *batch, batchesAhead)
	tasks.Go(func() error {
		defer close(queue)
		defer close(work)
		return walkBatches(ctx, w, work, queue)
	})
	for range runtime.GOMAXPROCS(0) {
		tasks.Go(func() error {
			buf := make([]byte, scanBuffer)
			for b := range work {
				for _, f := range b.files {
					sum, err := hashContent(ctx, f, buf)
					if err != nil {
						return err
					}
					b.sums = append(b.sums, sum)
				}
				close(b.done)
			}
			return nil
		})
	}
	tasks.Go(func() error {
		for b := range queue {
			select {
			case <-b.done:
			case <-ctx.Done():
				return ctx.Err()
			}
			for i, head := range b.heads {
				h.Write(head)
				h.Write(b.sums[i])
			}
		}
		return nil
	})
	return tasks.Wait()
}

// walkBatches sends the files of a tree to all of the channels.
func walkBatches(ctx context.Context, w Walker, to ...chan<- *batch) error {
	fresh := func() *batch { return &batch{done: make(chan struct{})} }
	b := fresh()
	send := func() error {
		for _, c := range to {
			select {
			case c <- b:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		b = fresh()
		return nil
	}
	err := w.Walk(ctx, func(f File) error {
		b.files, b.heads = append(b.files, f), append(b.heads, describe(f))
		if len(b.files) < batchFiles {
			return nil
		}
		return send()
	})
	if err != nil {
		return err
	}
	return send()
}

// describe encodes all of a file but its content.
func describe(f File) []byte {
	b := make([]byte, 0, 96+len(f.Path)+len(f.Target))
	number := func(n int64) { b = binary.AppendVarint(b, n) }
	text := func(s string) { b = append(binary.AppendVarint(b, int64(len(s))), s...) }
	text(f.Path)
	for _, n := range []int64{int64(f.Mode), int64(f.UID), int64(f.GID), f.Size, f.ModTime.Unix(), int64(f.ModTime.Nanosecond())} {
		number(n)
	}
	text(f.Target)
	number(int64(len(f.Xattrs)))
	for _, name := range slices.Sorted(maps.Keys(f.Xattrs)) {
		text(name)
		text(string(f.Xattrs[name]))
	}
	return b
}

// hashContent returns the hash of the content of a regular file, nil for
// others. A hole that its driver knows is hashed by its length: the journal of
// changes on an NTFS volume may have a hole of terabytes ahead of what it
// holds.
func hashContent(ctx context.Context, f File, buf []byte) ([]byte, error) {
	if f.Open == nil {
		return nil, nil
	}
	c, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", f.Path, err)
	}
	h := xxh3.New()
	l, located := c.(Locator)
	for off := int64(0); off < f.Size; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if located {
			if s, ok := l.Span(off); ok && s.Hole && s.End() > off {
				h.Write(binary.AppendVarint([]byte("hole"), s.End()-off))
				off = s.End()
				continue
			}
		}
		p := buf[:min(int64(len(buf)), f.Size-off)]
		if n, err := c.ReadAt(p, off); n < len(p) {
			return nil, fmt.Errorf("reading %s at byte %d: %w", f.Path, off, errors.Join(err, io.ErrUnexpectedEOF))
		}
		h.Write(p)
		off += int64(len(p))
	}
	sum := h.Sum128().Bytes()
	return sum[:], nil
}
