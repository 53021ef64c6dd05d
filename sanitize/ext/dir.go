package ext

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Layout of directory blocks, DISK sections "Linear (Classic) Directories" and
// "Hash Tree Directories".
const (
	direntHeader = 8
	direntHash   = 8
	direntKept   = 6 // inode and record length: what an unused entry must keep
	dirTailLen   = 12
	dirTailType  = 0xde
	indexInfoOff = 0x18 // of the root's information, behind its two entries
	indexRootOff = 0x20 // of the root's index entries
	indexNodeOff = 8    // of a node's index entries
	indexEntry   = 8
	indexTail    = 8
	indexLevels  = 3 // with large_dir
)

// dirent is a live directory entry.
type dirent struct {
	num  uint32
	name string
}

// dirBlock is a block of a directory with the extents in it, relative to its
// start, that are dead.
type dirBlock struct {
	phys int64
	data []byte
	dead []disk.Extent
	// linear is set in a block of names: only their checksum covers what is
	// dead.
	linear bool
}

// directory reads all blocks of directory n in their logical order, each into
// buf, which holds one.
func (f *filesystem) directory(ctx context.Context, n *inode, m fileMap, buf []byte, entry func(dirent), block func(dirBlock) error) error {
	nodes, err := f.indexNodes(ctx, n, m)
	if err != nil {
		return fmt.Errorf("reading the index of directory %d: %w", n.num, err)
	}
	last := (n.size + f.block - 1) / f.block
	for _, r := range m.runs {
		for i := range r.Count {
			if err := ctx.Err(); err != nil {
				return err
			}
			logical, phys := r.Logical+i, r.Phys+i
			if r.Unwritten || logical >= last {
				// Not a directory block as far as anybody reads it, and
				// nothing that a kernel leaves behind: keep it.
				if err := block(dirBlock{phys: phys}); err != nil {
					return err
				}
				continue
			}
			d := dirBlock{phys: phys, data: buf}
			if err := sanitize.ReadFull(f.r, d.data, phys*f.block); err != nil {
				return err
			}
			if at, ok := nodes[logical]; ok {
				err = f.indexBlock(&d, at)
			} else {
				err = f.linearBlock(n, &d, entry)
			}
			if err != nil {
				return fmt.Errorf("reading block %d of directory %d: %w", logical, n.num, err)
			}
			if err := block(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// linearBlock parses a block of entries.
func (f *filesystem) linearBlock(n *inode, d *dirBlock, entry func(dirent)) error {
	b, end := d.data, f.block
	if f.hasChecksums() {
		end -= dirTailLen
		if t := b[end:]; binary.LittleEndian.Uint32(t) != 0 || t[4] != dirTailLen || t[5] != 0 || t[6] != 0 || t[7] != dirTailType {
			return fmt.Errorf("no checksum at the end")
		}
	}
	dead, err := f.entries(n, b[:end], entry)
	d.dead, d.linear = dead, true
	return err
}

// entries parses a list of entries that fills b, and returns what is dead in
// it.
func (f *filesystem) entries(n *inode, b []byte, entry func(dirent)) ([]disk.Extent, error) {
	var dead []disk.Extent
	le := binary.LittleEndian
	for off := int64(0); off < int64(len(b)); {
		if off+direntHeader > int64(len(b)) {
			return nil, fmt.Errorf("an entry at byte %d is cut off", off)
		}
		e := b[off:]
		length, used := f.recordLen(le.Uint16(e[4:])), int64(direntKept)
		nameLen := int64(e[6])
		if num := le.Uint32(e); num != 0 {
			used = direntHeader + nameLen
			if n.has(flagEncrypt) {
				// A hash may follow the name (kernel, EXT4_DIRENT_HASHES).
				used = (used+3)&^3 + direntHash
			}
			if direntHeader+nameLen > length || int64(num) > f.inodes || nameLen == 0 {
				return nil, fmt.Errorf("an entry at byte %d is malformed", off)
			}
			name := string(e[direntHeader : direntHeader+nameLen])
			if strings.ContainsAny(name, "/\x00") && !n.has(flagEncrypt) {
				return nil, fmt.Errorf("an entry at byte %d has the name %q", off, name)
			}
			if name != "." && name != ".." {
				entry(dirent{num, name})
			}
		}
		if length < direntHeader || length%4 != 0 || length > int64(len(b))-off {
			return nil, fmt.Errorf("an entry at byte %d has length %d", off, length)
		}
		if used < length {
			dead = append(dead, disk.Extent{Off: off + used, Len: length - used})
		}
		off += length
	}
	return dead, nil
}

// recordLen decodes a record length. Blocks of 64 KiB do not fit (kernel,
// ext4_rec_len_from_disk).
func (s *super) recordLen(n uint16) int64 {
	if s.block < 65536 {
		return int64(n)
	}
	if n == 0 || n == 65535 {
		return s.block
	}
	return int64(n&65532) | int64(n&3)<<16
}
