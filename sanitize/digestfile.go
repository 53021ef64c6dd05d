package sanitize

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/zeebo/xxh3"

	"github.com/imgbuild/imgbuild/disk"
)

// contentHash hashes the contents of files, one after the other. What it must
// read anyway it reads in one call with what stands behind the end of a file,
// up to the next multiple of [digestBlock] on the volume.
type contentHash struct {
	volume disk.Reader
	h      xxh3.Hasher
	buf    []byte
	// zeros are the ends of files, in bytes of the volume, behind which
	// nothing but zeros stands up to that multiple.
	zeros []int64
}

// file returns the hash of the content of a regular file, nil for others. A
// hole that its driver knows is hashed by its length: the journal of changes
// on an NTFS volume may have a hole of terabytes ahead of what it holds.
func (c *contentHash) file(ctx context.Context, f File) ([]byte, error) {
	if f.Open == nil {
		return nil, nil
	}
	content, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", f.Path, err)
	}
	c.h.Reset()
	l, located := content.(Locator)
	for off := int64(0); off < f.Size; {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p := c.buf[:min(int64(len(c.buf)), f.Size-off)]
		s := Span{At: -1}
		if located {
			if known, ok := l.Span(off); ok {
				s = known
			}
		}
		switch {
		case s.Hole && s.End() > off:
			c.h.Write(binary.AppendVarint([]byte("hole"), s.End()-off))
			off = s.End()
			continue
		case c.isLast(s, off, f.Size):
			err = c.last(p, s.At+off-s.Off)
		default:
			var n int
			if n, err = content.ReadAt(p, off); n == len(p) {
				err = nil
			} else {
				err = errors.Join(err, io.ErrUnexpectedEOF)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s at byte %d: %w", f.Path, off, err)
		}
		c.h.Write(p)
		off += int64(len(p))
	}
	sum := c.h.Sum128().Bytes()
	return sum[:], nil
}

// isLast reports whether a file of size bytes, stored from off on as s says,
// ends in one read that has room for what stands behind it.
func (c *contentHash) isLast(s Span, off, size int64) bool {
	return !s.Hole && s.At >= 0 && s.Off <= off && s.End() == size && size-off <= int64(len(c.buf))-digestBlock
}

// last reads the end of a file into p, the front of the buffer, from byte at of
// the volume, and looks at what stands behind it.
func (c *contentHash) last(p []byte, at int64) error {
	end := at + int64(len(p))
	to := min((end+digestBlock-1)/digestBlock*digestBlock, c.volume.Size())
	if to < end {
		return io.ErrUnexpectedEOF
	}
	if err := ReadFull(c.volume, c.buf[:to-at], at); err != nil {
		return err
	}
	if to > end && disk.IsZero(c.buf[len(p):to-at]) {
		c.zeros = append(c.zeros, end)
	}
	return nil
}
