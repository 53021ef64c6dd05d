package sanitize

import (
	"context"
	"crypto/sha256"
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

// treeHash hashes a live tree: for each file, in the order of the walk, what
// is told of it and the hash of its content. Contents are hashed on all
// processors, by XXH3 of 128 bits: the digest finds what a scrub damaged, and
// nobody gains from a file that collides with itself.
//
// Who walks the tree calls file for each, then end; sum waits for the hash.
type treeHash struct {
	ctx         context.Context
	tasks       *errgroup.Group
	work, queue chan *batch // the same batches: to be hashed, and in their order
	batch       *batch
	h           hash.Hash
}

func newTreeHash(ctx context.Context) *treeHash {
	t := &treeHash{
		work: make(chan *batch, batchesAhead), queue: make(chan *batch, batchesAhead),
		batch: newBatch(), h: sha256.New(),
	}
	t.tasks, t.ctx = errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		t.tasks.Go(t.contents)
	}
	t.tasks.Go(t.collect)
	return t
}

func newBatch() *batch {
	return &batch{files: make([]File, 0, batchFiles), heads: make([][]byte, 0, batchFiles), done: make(chan struct{})}
}

// file adds a file.
func (t *treeHash) file(f File) error {
	b := t.batch
	b.files, b.heads = append(b.files, f), append(b.heads, describe(f))
	if len(b.files) < batchFiles {
		return nil
	}
	return t.send()
}

func (t *treeHash) send() error {
	for _, c := range []chan<- *batch{t.work, t.queue} {
		select {
		case c <- t.batch:
		case <-t.ctx.Done():
			return context.Cause(t.ctx)
		}
	}
	t.batch = newBatch()
	return nil
}

// end tells that there are no more files.
func (t *treeHash) end() error {
	err := t.send()
	close(t.work)
	close(t.queue)
	return err
}

// contents hashes the contents of batches.
func (t *treeHash) contents() error {
	h, buf := xxh3.New(), make([]byte, scanBuffer)
	for b := range t.work {
		for _, f := range b.files {
			sum, err := hashContent(t.ctx, f, h, buf)
			if err != nil {
				return err
			}
			b.sums = append(b.sums, sum)
		}
		b.files = nil
		close(b.done)
	}
	return nil
}

// collect puts the hashes in their order.
func (t *treeHash) collect() error {
	for b := range t.queue {
		select {
		case <-b.done:
		case <-t.ctx.Done():
			return context.Cause(t.ctx)
		}
		for i, head := range b.heads {
			t.h.Write(head)
			t.h.Write(b.sums[i])
		}
	}
	return nil
}

// sum waits for all that was added, and returns the hash.
func (t *treeHash) sum() ([]byte, error) {
	if err := t.tasks.Wait(); err != nil {
		return nil, err
	}
	return t.h.Sum(nil), nil
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
func hashContent(ctx context.Context, f File, h *xxh3.Hasher, buf []byte) ([]byte, error) {
	if f.Open == nil {
		return nil, nil
	}
	c, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", f.Path, err)
	}
	h.Reset()
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
