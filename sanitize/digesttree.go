package sanitize

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"
)

// filesAhead bounds how many files are read ahead of the hash.
const filesAhead = 256

// hashed is a file on its way into the digest.
type hashed struct {
	head []byte // all but the content
	sum  chan []byte
	file File
}

// digestTree hashes a live tree: for each file, in the order of the walk, what
// is told of it and the hash of its content. Contents are hashed on all
// processors.
func digestTree(ctx context.Context, h hash.Hash, w Walker) error {
	tasks, ctx := errgroup.WithContext(ctx)
	queue, work := make(chan *hashed, filesAhead), make(chan *hashed, filesAhead)
	tasks.Go(func() error {
		defer close(queue)
		defer close(work)
		return w.Walk(ctx, func(f File) error {
			e := &hashed{head: describe(f), sum: make(chan []byte, 1), file: f}
			for _, c := range []chan *hashed{work, queue} {
				select {
				case c <- e:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	})
	for range runtime.GOMAXPROCS(0) {
		tasks.Go(func() error {
			buf := make([]byte, scanBuffer)
			for e := range work {
				sum, err := hashContent(ctx, e.file, buf)
				if err != nil {
					return err
				}
				e.sum <- sum
			}
			return nil
		})
	}
	tasks.Go(func() error {
		for e := range queue {
			select {
			case sum := <-e.sum:
				h.Write(e.head)
				h.Write(sum)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return tasks.Wait()
}

// describe encodes all of a file but its content.
func describe(f File) []byte {
	var b bytes.Buffer
	field(&b, f.Path, uint32(f.Mode), f.UID, f.GID, f.Size, f.ModTime.Unix(), f.ModTime.Nanosecond(), f.Target, len(f.Xattrs))
	for _, name := range slices.Sorted(maps.Keys(f.Xattrs)) {
		field(&b, name, string(f.Xattrs[name]))
	}
	return b.Bytes()
}

// hashContent returns the hash of the content of a regular file, nil for
// others.
func hashContent(ctx context.Context, f File, buf []byte) ([]byte, error) {
	if f.Open == nil {
		return nil, nil
	}
	c, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", f.Path, err)
	}
	h := sha256.New()
	for off := int64(0); off < f.Size; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p := buf[:min(int64(len(buf)), f.Size-off)]
		if n, err := c.ReadAt(p, off); n < len(p) {
			return nil, fmt.Errorf("reading %s at byte %d: %w", f.Path, off, errors.Join(err, io.ErrUnexpectedEOF))
		}
		h.Write(p)
		off += int64(len(p))
	}
	return h.Sum(nil), nil
}
