package squashfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// blockPlain is the bit of a block of data that is not compressed; the others
// are its length on the medium, in bytes.
const blockPlain = 1 << 24

// maxBlocks bounds the blocks of a file, whose list is held: 512 GiB of the
// usual ones.
const maxBlocks = 1 << 22

// content reads a file: blocks of data, one behind the other, and a tail in a
// fragment that it shares with other files. It keeps the last block.
type content struct {
	f      readable
	size   int64
	blocks []stored
	tail   []byte

	mu    sync.Mutex
	last  int // index of the block in cache, plus one
	cache []byte
}

// stored is where a block lies; n of 0 is a hole.
type stored struct {
	at, n int64
	plain bool
}

// content opens the file of an inode.
func (f readable) content(ref reference) (sanitize.Content, error) {
	n, err := f.inode(ref)
	if err != nil {
		return nil, err
	}
	c := &content{f: f, size: n.size}
	count := n.size / f.block
	if n.fragment == none32 && n.size%f.block > 0 {
		count++
	}
	if count > maxBlocks {
		return nil, fmt.Errorf("a file of %d blocks", count)
	}
	at := n.start
	for range count {
		b, err := n.list.take(4)
		if err != nil {
			return nil, fmt.Errorf("reading the list of blocks: %w", err)
		}
		s, err := f.stored(at, binary.LittleEndian.Uint32(b), f.block)
		if err != nil {
			return nil, err
		}
		c.blocks = append(c.blocks, s)
		at += s.n
	}
	if n.fragment != none32 {
		c.tail, err = f.tail(n)
	}
	return c, err
}

// stored reads the word that tells of a block.
func (f readable) stored(at int64, word uint32, limit int64) (stored, error) {
	s := stored{at, int64(word &^ blockPlain), word&blockPlain != 0}
	if s.n > limit || s.n > 0 && (at < superLen || at > f.used-s.n) {
		return s, fmt.Errorf("a block of %d bytes at byte %d", s.n, at)
	}
	return s, nil
}

// tail returns the end of a file that lies in a fragment.
func (f readable) tail(n *inode) ([]byte, error) {
	b, err := f.entry(f.start(fragmentTable), int64(n.fragment), f.fragmentCount, 16)
	if err != nil {
		return nil, fmt.Errorf("reading the table of fragments: %w", err)
	}
	at := int64(binary.LittleEndian.Uint64(b))
	u, err := f.fragments.get(at, func() (unpacked, error) {
		s, err := f.stored(at, binary.LittleEndian.Uint32(b[8:]), f.block)
		if err != nil {
			return unpacked{}, err
		}
		p, err := f.load(s)
		return unpacked{content: p}, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading a fragment: %w", err)
	}
	length := n.size % f.block
	if n.fragmentAt+length > int64(len(u.content)) {
		return nil, fmt.Errorf("%d bytes at byte %d of a fragment of %d", length, n.fragmentAt, len(u.content))
	}
	return u.content[n.fragmentAt : n.fragmentAt+length], nil
}

// load reads a block and unpacks it.
func (f readable) load(s stored) ([]byte, error) {
	b, err := f.read(s.at, s.n)
	if err != nil || s.plain {
		return b, err
	}
	return f.unpack(b, int(f.block))
}

// ReadAt follows io.ReaderAt.
func (c *content) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("reading at a negative offset")
	}
	done := 0
	for done < len(p) && off < c.size {
		i, in := int(off/c.f.block), off%c.f.block
		part := p[done:min(int64(len(p)), int64(done)+min(c.f.block-in, c.size-off))]
		if err := c.read(part, i, in); err != nil {
			return done, fmt.Errorf("reading the block at byte %d: %w", off-in, err)
		}
		done += len(part)
		off += int64(len(part))
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// read fills p from byte in of block i.
func (c *content) read(p []byte, i int, in int64) error {
	if i >= len(c.blocks) {
		if in+int64(len(p)) > int64(len(c.tail)) {
			return errors.New("the tail is too short")
		}
		copy(p, c.tail[in:])
		return nil
	}
	if c.blocks[i].n == 0 {
		clear(p)
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != i+1 {
		c.last = 0
		b, err := c.f.load(c.blocks[i])
		if err != nil {
			return err
		}
		c.cache, c.last = b, i+1
	}
	if in+int64(len(p)) > int64(len(c.cache)) {
		return fmt.Errorf("it has only %d bytes", len(c.cache))
	}
	copy(p, c.cache[in:])
	return nil
}

// Span implements [sanitize.Locator]. Compressed bytes have no place of their
// own, and neither has a tail.
func (c *content) Span(off int64) (sanitize.Span, bool) {
	if off < 0 || off >= c.size {
		return sanitize.Span{}, false
	}
	i := off / c.f.block
	s := sanitize.Span{Extent: disk.Extent{Off: i * c.f.block, Len: min(c.f.block, c.size-i*c.f.block)}, At: -1}
	if i >= int64(len(c.blocks)) {
		return s, true
	}
	b := c.blocks[i]
	s.Hole = b.n == 0
	if b.plain && !s.Hole {
		s.At = b.at
	}
	return s, true
}
