package xfs

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// unit is metadata that is written and checksummed as one.
type unit struct {
	at    []disk.Extent // where it lies, in order; several only in a directory
	dead  []disk.Extent // relative to its start, ascending, within its length
	sum   int64         // where in it the checksum is, 0 for none
	owner string
}

// survey is one traversal of everything that is allocated.
type survey struct {
	ctx context.Context
	f   *filesystem
	// unit is called for each unit, and extent for each extent of data.
	// shared says that other files may have their part in it.
	unit   func(unit) error
	extent func(g sanitize.Region, shared bool)

	seen visited  // blocks of trees and maps
	done []uint64 // inodes met so far, a word for each chunk
	// spent counts the blocks that directories and attributes claim: a
	// hostile image may claim one block a million times.
	spent int64
	space freeSpace // of the group at hand, by the first of its two trees
}

func (s *survey) run() error {
	s.seen, s.done = visited{}, make([]uint64, len(s.f.chunks))
	for n := range s.f.agCount {
		if err := s.group(n); err != nil {
			return fmt.Errorf("reading allocation group %d: %w", n, err)
		}
	}
	err := s.f.descend(s.ctx, func(n *inode, path string) ([]dirent, error) {
		if !s.fresh(n.num) {
			return nil, nil
		}
		return s.content(n, path)
	})
	if err != nil {
		return err
	}
	for i := range s.f.chunks {
		if err := s.chunk(i); err != nil {
			return err
		}
	}
	return nil
}

// fresh reports whether inode num, which is in use, was not met before.
func (s *survey) fresh(num uint64) bool {
	i, err := s.f.chunkOf(num)
	if err != nil {
		return false
	}
	bit := uint64(1) << (num - s.f.chunks[i].first)
	fresh := s.done[i]&bit == 0
	s.done[i] |= bit
	return fresh
}

// at places a unit of n bytes.
func at(off, n int64) []disk.Extent { return []disk.Extent{{Off: off, Len: n}} }

// span is the extent from one byte to another.
func span(from, to int64) disk.Extent { return disk.Extent{Off: from, Len: to - from} }

// group yields the headers and the trees of an allocation group. Space that is
// free comes with the trees.
func (s *survey) group(n int64) error {
	f, off, sector := s.f, n*s.f.agBlocks*s.f.block, s.f.sector
	g := f.groups[n]
	super, agf, agi := int64(superLenV4), int64(agfLenV4), int64(agiLenV4)
	if f.v5 {
		super, agf, agi = superLen, agfLen, agiLen
	}
	const owner = "allocation group headers"
	for i, u := range []unit{
		{dead: []disk.Extent{span(super, sector)}, sum: superOffSum},
		{dead: []disk.Extent{span(agf, sector)}, sum: agfOffSum},
		{dead: []disk.Extent{span(agi, sector)}, sum: agiOffSum},
		{dead: g.freeListDead, sum: agflOffSum},
	} {
		u.at, u.sum, u.owner = at(off+int64(i)*sector, sector), f.sum(u.sum), owner
		if err := s.unit(u); err != nil {
			return err
		}
	}
	s.extent(sanitize.Region{Extent: span(off+4*sector, off+f.headerBlocks()*f.block), Class: sanitize.Stale, Owner: owner}, false)
	for _, block := range g.freeBlocks {
		s.blocks(block, 1, sanitize.Free, "free list")
	}
	for _, t := range g.trees {
		if err := s.tree(n, t); err != nil {
			return err
		}
	}
	return nil
}

// tree yields the blocks of one tree of group n, and what its records say.
func (s *survey) tree(n int64, t root) error {
	w := treeWalk{ctx: s.ctx, f: s.f, tree: t.tree, group: n, seen: s.seen}
	_, sum := t.tree.header(s.f.v5)
	w.block = func(phys int64, dead []disk.Extent) error {
		return s.unit(unit{at(phys*s.f.block, s.f.block), dead, sum, "tree of " + t.tree.name})
	}
	w.record = func([]byte) error { return nil }
	var free freeSpace
	switch t.tree {
	case bnoTree, cntTree:
		w.record = func(rec []byte) error { return s.freeRecord(&free, n, t, rec) }
	case refcTree:
		w.record = func(rec []byte) error { return s.staging(n, rec) }
	}
	if err := w.below(t.at, t.levels-1); err != nil {
		return err
	}
	if t.tree != bnoTree && t.tree != cntTree {
		return nil
	}
	return s.checkFree(free, s.f.groups[n], t.tree)
}

// staging yields an extent that was set aside for copy-on-write and belongs to
// no file: the upper bit of its start marks it, XADS section "Reference Count
// B+tree".
func (s *survey) staging(n int64, rec []byte) error {
	const mark = 1 << 31
	start, count := binary.BigEndian.Uint32(rec), int64(binary.BigEndian.Uint32(rec[4:]))
	if start&mark == 0 {
		return nil
	}
	phys := n*s.f.agBlocks + int64(start&^mark)
	if int64(start&^mark) >= s.f.groupLen(n) {
		return fmt.Errorf("a copy-on-write extent at block %d", start&^mark)
	}
	if err := s.f.extent(phys, count); err != nil {
		return err
	}
	s.blocks(phys, count, sanitize.Slack, "copy-on-write staging")
	return nil
}

func (s *survey) blocks(phys, count int64, c sanitize.Class, owner string) {
	s.extent(sanitize.Region{Extent: disk.Extent{Off: phys * s.f.block, Len: count * s.f.block}, Class: c, Owner: owner}, false)
}
