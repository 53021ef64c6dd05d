package squashfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/imgbuild/imgbuild/sanitize"
)

// A table is a row of blocks, each behind two bytes that tell its length on the
// medium and whether it is compressed (FORMAT, SQUASHFS_COMPRESSED_SIZE).
const (
	metadataLen   = 8 << 10 // what a block unpacks into at most, in bytes
	metadataPlain = 1 << 15 // the bit of a block that is not compressed
	keptMetadata  = 64      // blocks
	keptFragments = 4       // blocks
)

// reference names a place in a table: the block's offset from the table's
// beginning, and in the lower 16 bits the byte in the unpacked block.
type reference uint64

func (r reference) block() int64 { return int64(r >> 16) }
func (r reference) byte() int    { return int(r & 0xffff) }

// readable is a filesystem whose files can be read.
type readable struct {
	*filesystem
	metadata  *cache
	fragments *cache
}

func newReadable(f *filesystem) readable {
	return readable{f, newCache(keptMetadata), newCache(keptFragments)}
}

// read returns n bytes at off, which must lie inside the filesystem.
func (f *filesystem) read(off, n int64) ([]byte, error) {
	if off < 0 || n < 0 || off > f.used || n > f.used-off {
		return nil, fmt.Errorf("%d bytes at byte %d lie outside of %d", n, off, f.used)
	}
	b := make([]byte, n)
	return b, sanitize.ReadFull(f.r, b, off)
}

// blockAt returns the block of a table at a place of the medium.
func (f readable) blockAt(at int64) (unpacked, error) {
	return f.metadata.get(at, func() (unpacked, error) {
		head, err := f.read(at, 2)
		if err != nil {
			return unpacked{}, err
		}
		word := binary.LittleEndian.Uint16(head)
		n := int64(word &^ metadataPlain)
		b, err := f.read(at+2, n)
		if err == nil && word&metadataPlain == 0 {
			b, err = f.unpack(b, metadataLen)
		}
		if err != nil {
			return unpacked{}, fmt.Errorf("reading the block of a table at byte %d: %w", at, err)
		}
		if len(b) == 0 || len(b) > metadataLen {
			return unpacked{}, fmt.Errorf("the block of a table at byte %d has %d bytes", at, len(b))
		}
		return unpacked{b, at + 2 + n}, nil
	})
}

// cursor reads a table from a place on.
type cursor struct {
	f    readable
	left []byte
	next int64
	end  int64 // of the table
}

// seek returns a cursor at a place of the table that lies in [start, end).
func (f readable) seek(start, end int64, ref reference) (*cursor, error) {
	at := start + ref.block()
	if ref.block() > end-start || at >= end {
		return nil, fmt.Errorf("byte %d is not in a table of [%d, %d)", at, start, end)
	}
	u, err := f.blockAt(at)
	if err != nil {
		return nil, err
	}
	if ref.byte() > len(u.content) {
		return nil, fmt.Errorf("byte %d is not in a block of %d", ref.byte(), len(u.content))
	}
	return &cursor{f, u.content[ref.byte():], u.next, end}, nil
}

// take returns the next n bytes, which the caller may keep and change.
func (c *cursor) take(n int) ([]byte, error) {
	var b []byte
	for len(b) < n {
		if len(c.left) == 0 {
			if c.next >= c.end {
				return nil, errors.New("a table ends too early")
			}
			u, err := c.f.blockAt(c.next)
			if err != nil {
				return nil, err
			}
			c.left, c.next = u.content, u.next
		}
		k := min(n-len(b), len(c.left))
		b = append(b, c.left[:k]...)
		c.left = c.left[k:]
	}
	return b, nil
}

// entry returns entry i of a table that has an index at start: the places of
// its blocks, each full of entries of size bytes.
func (f readable) entry(start, i, count, size int64) ([]byte, error) {
	if start == 0 || i >= count {
		return nil, fmt.Errorf("entry %d of %d", i, count)
	}
	perBlock := metadataLen / size
	p, err := f.read(start+i/perBlock*8, 8)
	if err != nil {
		return nil, err
	}
	at := binary.LittleEndian.Uint64(p)
	if at >= uint64(start) {
		return nil, fmt.Errorf("the block of an entry lies at byte %d", at)
	}
	u, err := f.blockAt(int64(at))
	if err != nil {
		return nil, err
	}
	off := i % perBlock * size
	if off+size > int64(len(u.content)) {
		return nil, fmt.Errorf("entry %d is not in its block", i)
	}
	return slices.Clone(u.content[off : off+size]), nil
}
