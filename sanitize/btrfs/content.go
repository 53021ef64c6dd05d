package btrfs

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/imgbuild/imgbuild/sanitize"
)

// Kinds of compression, BTRFS section "File extent items".
const (
	compressNone = iota
	compressZlib
	compressLZO
	compressZstd
)

// maxPlain bounds what a compressed extent holds, in bytes (kernel,
// BTRFS_MAX_UNCOMPRESSED).
const maxPlain = 128 << 10

// piece is a part of a file.
type piece struct {
	from, length int64 // in the file
	compression  uint8
	inline       []byte // as stored, of an inline extent
	at, stored   int64  // logical address and length of the extent
	off          int64  // of the part in the extent, not compressed
	plain        int64  // length of the extent, not compressed
	hole         bool
}

// content reads a file: holes and unwritten extents read as zero.
type content struct {
	f      *filesystem
	size   int64
	pieces []piece // ascending

	mu    sync.Mutex
	last  int // index of the piece in cache, plus one
	cache []byte
}

// add adds an extent of the file. The census has checked its form; a file is
// also read without one.
func (c *content) add(it item) error {
	if len(it.data) < fileInlineAt {
		return fmt.Errorf("an extent is cut off")
	}
	le := binary.LittleEndian
	p := piece{from: int64(it.offset), plain: int64(le.Uint64(it.data[8:])), compression: it.data[16]}
	kind := it.data[20]
	if kind == extentInline {
		p.inline, p.length = it.data[fileInlineAt:], p.plain
	} else {
		if len(it.data) < fileExtentLen {
			return fmt.Errorf("an extent is cut off")
		}
		p.at, p.stored = int64(le.Uint64(it.data[21:])), int64(le.Uint64(it.data[29:]))
		p.off, p.length = int64(le.Uint64(it.data[37:])), int64(le.Uint64(it.data[45:]))
		p.hole = kind == extentUnwritten || p.at == 0
	}
	k := len(c.pieces)
	switch {
	case p.from < 0 || p.length < 0 || p.from+p.length < 0 || k > 0 && p.from < c.pieces[k-1].from+c.pieces[k-1].length:
		return fmt.Errorf("an extent of %d bytes at byte %d is out of order", p.length, p.from)
	case p.compression != compressNone && !p.hole && (p.plain > maxPlain || p.stored > maxPlain || p.off < 0 || p.off > p.plain-p.length):
		return fmt.Errorf("a compressed extent of %d bytes", p.plain)
	}
	c.pieces = append(c.pieces, p)
	return nil
}

// ReadAt follows io.ReaderAt.
func (c *content) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("reading at a negative offset")
	}
	done := 0
	for done < len(p) && off < c.size {
		n := min(int64(len(p)-done), c.size-off)
		i := sort.Search(len(c.pieces), func(i int) bool { return c.pieces[i].from+c.pieces[i].length > off })
		part := p[done : done+int(n)]
		switch {
		case i == len(c.pieces):
			clear(part)
		case c.pieces[i].from > off:
			part = part[:min(n, c.pieces[i].from-off)]
			clear(part)
		default:
			part = part[:min(n, c.pieces[i].from+c.pieces[i].length-off)]
			if err := c.read(part, i, off-c.pieces[i].from); err != nil {
				return done, err
			}
		}
		done += len(part)
		off += int64(len(part))
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// read reads from byte off of a piece on.
func (c *content) read(b []byte, i int, off int64) error {
	p := c.pieces[i]
	switch {
	case p.hole:
		clear(b)
		return nil
	case p.compression == compressNone && p.inline == nil:
		at, err := c.f.places(p.at+p.off+off, int64(len(b)))
		if err != nil {
			return err
		}
		return sanitize.ReadFull(c.f.r, b, at[0])
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != i+1 {
		plain, err := c.whole(p)
		if err != nil {
			return err
		}
		c.last, c.cache = i+1, plain
	}
	// What an extent does not hold reads as zero.
	clear(b)
	if from := p.off + off; from < int64(len(c.cache)) {
		copy(b, c.cache[from:])
	}
	return nil
}

// whole returns all that a compressed or inline extent holds.
func (c *content) whole(p piece) ([]byte, error) {
	stored := p.inline
	if stored == nil {
		at, err := c.f.places(p.at, p.stored)
		if err != nil {
			return nil, err
		}
		stored = make([]byte, p.stored)
		if err := sanitize.ReadFull(c.f.r, stored, at[0]); err != nil {
			return nil, err
		}
	}
	var r io.Reader
	var err error
	switch p.compression {
	case compressNone:
		return stored, nil
	case compressZlib:
		r, err = zlib.NewReader(bytes.NewReader(stored))
	case compressZstd:
		var d *zstd.Decoder
		if d, err = zstd.NewReader(bytes.NewReader(stored), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(8<<20)); err == nil {
			defer d.Close()
			r = d
		}
	case compressLZO:
		return unpackLZO(stored, int(p.plain), int(c.f.sector))
	default:
		return nil, fmt.Errorf("compression of kind %d", p.compression)
	}
	if err != nil {
		return nil, fmt.Errorf("unpacking the extent at %d: %w", p.at, err)
	}
	plain := make([]byte, p.plain)
	// The last extent of a file may hold less. Zeros follow it, up to the end
	// of the sector, which are no frame of zstd.
	if n, err := io.ReadFull(r, plain); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, zstd.ErrMagicMismatch) {
		return nil, fmt.Errorf("unpacking the extent at %d after %d bytes: %w", p.at, n, err)
	}
	return plain, nil
}
