package ext

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/internal/mapped"
)

// Layout of extent nodes, DISK section "Extent Tree".
const (
	extentMagic   = 0xf30a
	extentHeader  = 12
	extentEntry   = 12
	extentDepth   = 5
	extentMaxInit = 32768 // longer lengths mark an unwritten extent
)

// treeBlock is a block of the map itself.
type treeBlock struct {
	phys    int64
	entries int64 // in use; -1 in an indirect block, which has no count
	max     int64
}

// fileMap is where a file's blocks are.
type fileMap struct {
	runs mapped.Runs
	tree []treeBlock
}

// visited is the set of map blocks met so far: one met twice is a loop, or
// belongs to two files.
type visited map[int64]struct{}

type mapper struct {
	ctx  context.Context
	f    *filesystem
	seen visited
	m    fileMap
}

// mapping follows the map of n. seen, unless nil, is shared among the files of
// one pass.
func (f *filesystem) mapping(ctx context.Context, n *inode, seen visited) (fileMap, error) {
	if seen == nil {
		seen = visited{}
	}
	m := mapper{ctx: ctx, f: f, seen: seen}
	var err error
	switch {
	case !n.mapped():
	case n.has(flagExtents):
		err = m.extents(n.iBlock(), -1)
	default:
		err = m.indirect(n.iBlock())
	}
	if err != nil {
		return fileMap{}, fmt.Errorf("mapping inode %d: %w", n.num, err)
	}
	return m.m, nil
}

// node reads one block of the map.
func (m *mapper) node(phys int64) ([]byte, error) {
	if err := m.ctx.Err(); err != nil {
		return nil, err
	}
	if phys < m.f.firstData || phys >= m.f.blocks {
		return nil, fmt.Errorf("map block %d of %d", phys, m.f.blocks)
	}
	if _, ok := m.seen[phys]; ok {
		return nil, fmt.Errorf("map block %d is used twice", phys)
	}
	m.seen[phys] = struct{}{}
	b := make([]byte, m.f.block)
	return b, sanitize.ReadFull(m.f.r, b, phys*m.f.block)
}

func (m *mapper) add(r mapped.Run) error {
	if r.Count <= 0 || r.Phys < m.f.firstData || r.Phys > m.f.blocks-r.Count {
		return fmt.Errorf("%d blocks at block %d of %d", r.Count, r.Phys, m.f.blocks)
	}
	if k := len(m.m.runs); k > 0 {
		last := &m.m.runs[k-1]
		if r.Logical < last.Logical+last.Count {
			return fmt.Errorf("logical block %d is mapped twice", r.Logical)
		}
		if r.Logical == last.Logical+last.Count && r.Phys == last.Phys+last.Count && r.Unwritten == last.Unwritten {
			last.Count += r.Count
			return nil
		}
	}
	m.m.runs = append(m.m.runs, r)
	return nil
}

// extents follows one node. parent is the depth of the node above, or -1.
func (m *mapper) extents(b []byte, parent int) error {
	le := binary.LittleEndian
	entries, limit, depth := int(le.Uint16(b[2:])), int(le.Uint16(b[4:])), int(le.Uint16(b[6:]))
	switch {
	case le.Uint16(b) != extentMagic:
		return fmt.Errorf("an extent node has magic %#x", le.Uint16(b))
	case entries > limit || extentHeader+limit*extentEntry > len(b):
		return fmt.Errorf("an extent node has %d entries of %d", entries, limit)
	case depth > extentDepth || parent >= 0 && depth != parent-1:
		return fmt.Errorf("an extent node has depth %d below %d", depth, parent)
	}
	for i := range entries {
		e := b[extentHeader+i*extentEntry:]
		if depth == 0 {
			r := mapped.Run{Logical: int64(le.Uint32(e)), Count: int64(le.Uint16(e[4:]))}
			r.Phys = int64(le.Uint16(e[6:]))<<32 | int64(le.Uint32(e[8:]))
			if r.Count > extentMaxInit {
				r.Count, r.Unwritten = r.Count-extentMaxInit, true
			}
			if err := m.add(r); err != nil {
				return err
			}
			continue
		}
		phys := int64(le.Uint32(e[4:])) | int64(le.Uint16(e[8:]))<<32
		child, err := m.node(phys)
		if err != nil {
			return err
		}
		m.m.tree = append(m.m.tree, treeBlock{phys, int64(le.Uint16(child[2:])), int64(le.Uint16(child[4:]))})
		if err := m.extents(child, depth); err != nil {
			return err
		}
	}
	return nil
}

// directBlocks is the number of direct pointers in i_block, DISK section
// "Direct/Indirect Block Addressing".
const directBlocks = 12

func (m *mapper) indirect(b []byte) error {
	le := binary.LittleEndian
	var logical int64
	for i := range directBlocks {
		if err := m.pointer(int64(le.Uint32(b[4*i:])), logical, 0); err != nil {
			return err
		}
		logical++
	}
	span := m.f.block / 4
	for level := 1; level <= 3; level++ {
		if err := m.pointer(int64(le.Uint32(b[4*(directBlocks+level-1):])), logical, level); err != nil {
			return err
		}
		logical += span
		span *= m.f.block / 4
	}
	return nil
}

// pointer follows a pointer to a data block (level 0) or to a block of
// pointers of the level below.
func (m *mapper) pointer(phys, logical int64, level int) error {
	if phys == 0 {
		return nil
	}
	if level == 0 {
		return m.add(mapped.Run{Logical: logical, Phys: phys, Count: 1})
	}
	b, err := m.node(phys)
	if err != nil {
		return err
	}
	m.m.tree = append(m.m.tree, treeBlock{phys: phys, entries: -1})
	span := int64(1)
	for range level - 1 {
		span *= m.f.block / 4
	}
	for i := int64(0); i < m.f.block/4; i++ {
		child := int64(binary.LittleEndian.Uint32(b[4*i:]))
		if err := m.pointer(child, logical+i*span, level-1); err != nil {
			return err
		}
	}
	return nil
}
