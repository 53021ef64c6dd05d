package xfs

import (
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/sanitize"
)

// freeSpace sums up what a tree of free space holds. Both trees of a group
// must hold the same extents, in another order; comparing sums that do not
// depend on the order needs no memory.
type freeSpace struct {
	blocks, extents int64
	mix             uint64
}

// freeRecord checks and counts one record of a tree of free space. Only one of
// the two trees yields the extents.
func (s *survey) freeRecord(free *freeSpace, n int64, t root, rec []byte) error {
	start, count := int64(binary.BigEndian.Uint32(rec)), int64(binary.BigEndian.Uint32(rec[4:]))
	if start >= s.f.groupLen(n) {
		return fmt.Errorf("free space at block %d of %d", start, s.f.groupLen(n))
	}
	phys := n*s.f.agBlocks + start
	if err := s.f.extent(phys, count); err != nil {
		return err
	}
	free.blocks += count
	free.extents++
	free.mix += scramble(uint64(start)<<32 | uint64(count))
	if t.tree == bnoTree {
		s.blocks(phys, count, sanitize.Free, "free blocks")
	}
	return nil
}

// scramble spreads a number over 64 bits (the finalizer of SplitMix64).
func scramble(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// checkFree holds a tree of free space to the group's counter and to the other
// tree.
func (s *survey) checkFree(free freeSpace, g group, t *btree) error {
	switch {
	case free.blocks != g.free:
		return fmt.Errorf("the tree of %s holds %d blocks, the header counts %d", t.name, free.blocks, g.free)
	case t == bnoTree:
		s.space = free
	case free != s.space:
		return fmt.Errorf("the two trees of free space differ")
	}
	return nil
}
