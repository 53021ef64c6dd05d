package xfs

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Layout of directories, XADS section "Directories".
const (
	dirLeafSpace = 32 << 30 // first byte, in the file, of the hash index
	dirFreeSpace = 64 << 30 // first byte of the free space index
	dirUnusedTag = 0xffff
	dirAlign     = 8
	direntHeader = 9 // inode number and length of the name
	direntTag    = 2 // its own offset, at the end of an entry
	unusedHeader = 4 // tag and length of an unused entry

	dirBlockMagic   = 0x58443242 // "XD2B"
	dirDataMagic    = 0x58443244 // "XD2D"
	dirFreeMagic    = 0x58443246 // "XD2F"
	dirBlockMagicV5 = 0x58444233 // "XDB3"
	dirDataMagicV5  = 0x58444433 // "XDD3"
	dirFreeMagicV5  = 0x58444633 // "XDF3"
	dirOffSum       = 4          // of the checksum in these three
)

// dirent is a live directory entry.
type dirent struct {
	num  uint64
	name string
}

// dirBlock is a block of a directory, which may be several blocks of the
// filesystem.
type dirBlock struct {
	at     []disk.Extent // where it lies, in order
	dead   []disk.Extent // relative to its start
	unused []disk.Extent // unused entries, of which most are dead
	sum    int64         // offset of its checksum, 0 for none
	data   []byte        // valid until the next block is read
}

// directory reads all blocks of directory n in their logical order.
func (f *filesystem) directory(ctx context.Context, n *inode, m fileMap, entry func(dirent) error, block func(dirBlock) error) error {
	if n.data.format == forkLocal {
		return f.shortDir(n, entry)
	}
	per := f.dirBlock / f.block
	b := make([]byte, f.dirBlock)
	next := int64(0) // the first logical block not yet read
	for _, r := range m.runs {
		if r.Logical+r.Count <= next {
			continue
		}
		first := max(r.Logical, next)
		for logical := first; logical < r.Logical+r.Count; logical += per {
			if err := ctx.Err(); err != nil {
				return err
			}
			d, err := f.dirExtents(m, logical)
			if err != nil {
				return fmt.Errorf("reading block %d of directory %d: %w", logical, n.num, err)
			}
			if err := readExtents(f.r, b, d.at); err != nil {
				return err
			}
			d.data = b
			if err := f.parseDirBlock(&d, b, logical*f.block, entry); err != nil {
				return fmt.Errorf("reading block %d of directory %d: %w", logical, n.num, err)
			}
			if err := block(d); err != nil {
				return err
			}
			next = logical + per
		}
	}
	return nil
}

// dirExtents finds the blocks of the directory block at logical.
func (f *filesystem) dirExtents(m fileMap, logical int64) (dirBlock, error) {
	var d dirBlock
	per := f.dirBlock / f.block
	if logical%per != 0 {
		return d, fmt.Errorf("it begins within a block")
	}
	for i := range per {
		phys, ok := m.physical(logical + i)
		if !ok {
			return d, fmt.Errorf("a part of it is not mapped")
		}
		if k := len(d.at); k > 0 && d.at[k-1].End() == phys*f.block {
			d.at[k-1].Len += f.block
			continue
		}
		d.at = append(d.at, disk.Extent{Off: phys * f.block, Len: f.block})
	}
	return d, nil
}

// readExtents fills b with what the extents hold, one behind the other.
func readExtents(r disk.Reader, b []byte, at []disk.Extent) error {
	for _, e := range at {
		if err := sanitize.ReadFull(r, b[:e.Len], e.Off); err != nil {
			return err
		}
		b = b[e.Len:]
	}
	return nil
}

// parseDirBlock tells what kind of block b is, off bytes into the directory.
func (f *filesystem) parseDirBlock(d *dirBlock, b []byte, off int64, entry func(dirent) error) error {
	var err error
	switch magic := binary.BigEndian.Uint32(b); {
	case off >= dirFreeSpace:
		d.dead, err = f.freeIndex(b)
	case off >= dirLeafSpace:
		d.sum = f.sum(daOffSum)
		d.dead, err = f.hashIndex(b)
		return err
	case !f.v5 && magic == dirBlockMagic || f.v5 && magic == dirBlockMagicV5:
		err = f.blockEntries(d, b, entry)
	case !f.v5 && magic == dirDataMagic || f.v5 && magic == dirDataMagicV5:
		err = f.entries(d, b, int64(len(b)), entry)
	default:
		return fmt.Errorf("magic %#x", magic)
	}
	d.sum = f.sum(dirOffSum)
	return err
}

// sum returns off in a filesystem with checksums, else 0.
func (s *super) sum(off int64) int64 {
	if s.v5 {
		return off
	}
	return 0
}

// blockEntries parses a directory of one block: its index is at the end.
func (f *filesystem) blockEntries(d *dirBlock, b []byte, entry func(dirent) error) error {
	const tail, slot = 8, 8
	count := int64(binary.BigEndian.Uint32(b[len(b)-tail:]))
	end := int64(len(b)) - tail - count*slot
	if count > int64(len(b))/slot || end < f.dirHeader() {
		return fmt.Errorf("%d entries in its index", count)
	}
	return f.entries(d, b, end, entry)
}

// dirHeader returns the length of the header of a block of entries.
func (s *super) dirHeader() int64 {
	if s.v5 {
		return 64
	}
	return 16
}

// typeLen returns how many bytes an entry has for the type of its file.
func (s *super) typeLen() int64 {
	if s.fileType {
		return 1
	}
	return 0
}

// entries parses the entries that fill b up to end, and notes what is dead.
func (f *filesystem) entries(d *dirBlock, b []byte, end int64, entry func(dirent) error) error {
	be := binary.BigEndian
	for off := f.dirHeader(); off < end; {
		if end-off < dirAlign {
			return fmt.Errorf("an entry at byte %d is cut off", off)
		}
		if be.Uint16(b[off:]) == dirUnusedTag {
			n := int64(be.Uint16(b[off+2:]))
			if n < dirAlign || n%dirAlign != 0 || n > end-off {
				return fmt.Errorf("an unused entry at byte %d has length %d", off, n)
			}
			d.dead = append(d.dead, disk.Extent{Off: off + unusedHeader, Len: n - unusedHeader - direntTag})
			d.unused = append(d.unused, disk.Extent{Off: off, Len: n})
			off += n
			continue
		}
		nameLen := int64(b[off+8])
		used := direntHeader + nameLen + f.typeLen()
		n := (used + direntTag + dirAlign - 1) &^ (dirAlign - 1)
		if nameLen == 0 || n > end-off || int64(be.Uint16(b[off+n-direntTag:])) != off {
			return fmt.Errorf("an entry at byte %d is malformed", off)
		}
		d.dead = append(d.dead, disk.Extent{Off: off + used, Len: n - used - direntTag})
		e := dirent{be.Uint64(b[off:]), string(b[off+direntHeader : off+direntHeader+nameLen])}
		if err := live(e, entry); err != nil {
			return err
		}
		off += n
	}
	return nil
}

// live hands on an entry that names another file.
func live(e dirent, entry func(dirent) error) error {
	if e.name == "." || e.name == ".." {
		return nil
	}
	if strings.ContainsAny(e.name, "/\x00") {
		return fmt.Errorf("an entry has the name %q", e.name)
	}
	return entry(e)
}

// shortDir parses a directory within an inode, XADS section "Short Form
// Directories".
func (f *filesystem) shortDir(n *inode, entry func(dirent) error) error {
	b, be := n.data.raw[:n.size], binary.BigEndian
	malformed := fmt.Errorf("reading directory %d: it is cut off", n.num)
	if len(b) < 2 {
		return malformed
	}
	count, numLen, typeLen := int(b[0]), 4, int(f.typeLen())
	if b[1] > 0 {
		numLen = 8
	}
	off := 2 + numLen
	for range count {
		if off+3 > len(b) || off+3+int(b[off])+typeLen+numLen > len(b) {
			return malformed
		}
		name := string(b[off+3 : off+3+int(b[off])])
		off += 3 + len(name) + typeLen
		e := dirent{name: name}
		if numLen == 8 {
			e.num = be.Uint64(b[off:])
		} else {
			e.num = uint64(be.Uint32(b[off:]))
		}
		off += numLen
		if err := live(e, entry); err != nil {
			return fmt.Errorf("reading directory %d: %w", n.num, err)
		}
	}
	if off != len(b) {
		return fmt.Errorf("reading directory %d: %d bytes of %d hold its entries", n.num, off, len(b))
	}
	return nil
}
