package sanitize

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"maps"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/imgbuild/imgbuild/disk"
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
	zeros []int64 // what contentHash adds up
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
	volume      disk.Reader // where the tree is stored
	tasks       *errgroup.Group
	work, queue chan *batch // the same batches: to be hashed, and in their order
	batch       *batch
	h           hash.Hash
	zeros       []int64 // of all batches, once sum has returned
}

func newTreeHash(ctx context.Context, volume disk.Reader) *treeHash {
	t := &treeHash{
		volume: volume,
		work:   make(chan *batch, batchesAhead), queue: make(chan *batch, batchesAhead),
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
	h := contentHash{volume: t.volume, buf: make([]byte, scanBuffer)}
	for b := range t.work {
		for _, f := range b.files {
			sum, err := h.file(t.ctx, f)
			if err != nil {
				return err
			}
			b.sums = append(b.sums, sum)
		}
		b.files, b.zeros, h.zeros = nil, h.zeros, nil
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
		t.zeros = append(t.zeros, b.zeros...)
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
