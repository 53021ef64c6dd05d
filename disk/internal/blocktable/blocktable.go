// Package blocktable holds what VHD and VHDX do alike: both lay a disk out in blocks
// of one size, and have a table that tells where each block is in the file.
package blocktable

import (
	"errors"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk/internal/lru"
)

// Entry is the number that a table has for a block.
type Entry interface{ uint32 | uint64 }

const (
	// pageSize is how much of a table is read at a time, in bytes.
	pageSize    = 64 << 10
	cachedPages = 16
)

// Table is the block table of a file. It is read in pages, so that memory does
// not grow with the disk, and is safe for concurrent use.
type Table[E Entry] struct {
	r       io.ReaderAt
	off     int64 // of the table in the file, in bytes
	entries int64
	size    int64 // of an entry, in bytes
	decode  func([]byte) E
	pages   *lru.Cache[[]E]
}

// NewTable returns the table of that many entries at byte off of r, which the
// caller has found to lie within the file. decode takes an entry of size bytes.
func NewTable[E Entry](r io.ReaderAt, off, entries, size int64, decode func([]byte) E) *Table[E] {
	return &Table[E]{r: r, off: off, entries: entries, size: size, decode: decode, pages: lru.New[[]E](cachedPages)}
}

// From returns the entry i, which the table has, and some of those behind it.
func (t *Table[E]) From(i int64) ([]E, error) {
	in := pageSize / t.size
	page, err := t.pages.Get(i/in, func() ([]E, error) {
		first := i / in * in
		p, err := Read(t.r, t.off+first*t.size, min(in, t.entries-first)*t.size)
		if err != nil {
			return nil, fmt.Errorf("reading the block table: %w", err)
		}
		page := make([]E, int64(len(p))/t.size)
		for k := range page {
			page[k] = t.decode(p[int64(k)*t.size:])
		}
		return page, nil
	})
	if err != nil {
		return nil, err
	}
	return page[i%in:], nil
}

// Read reads n bytes at off, all of them.
func Read(r io.ReaderAt, off, n int64) ([]byte, error) {
	p := make([]byte, n)
	if got, err := r.ReadAt(p, off); int64(got) < n {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return p, nil
}

// DivUp divides and rounds up; it does not overflow.
func DivUp(a, b int64) int64 {
	if a%b != 0 {
		return a/b + 1
	}
	return a / b
}
