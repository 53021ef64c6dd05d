package xfs

import (
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
)

// Layout of index blocks, XADS sections "Leaf Directories" and "Node
// Directories". The same inner nodes lead to attributes.
const (
	daOffMagic  = 8
	daOffSum    = 12 // of the checksum, version 5
	daSlot      = 8
	leaf1Magic  = 0xd2f1
	leafNMagic  = 0xd2ff
	nodeMagic   = 0xfebe
	leaf1MagicV = 0x3df1
	leafNMagicV = 0x3dff
	nodeMagicV  = 0x3ebe
	daLevels    = 5
)

// daHeader returns the length of the header of an index block, and where in
// it the count of entries is.
func (s *super) daHeader() (length, count int64) {
	if s.v5 {
		return 64, 56
	}
	return 16, 12
}

// hashIndex parses a leaf or a node of a directory's hash index. Slots beyond
// the count are dead; the only leaf of an index ends with a table of the free
// space in each block.
func (f *filesystem) hashIndex(b []byte) ([]disk.Extent, error) {
	be, end := binary.BigEndian, int64(len(b))
	head, at := f.daHeader()
	count, magic := int64(be.Uint16(b[at:])), be.Uint16(b[daOffMagic:])
	switch {
	case !f.v5 && (magic == leafNMagic || magic == nodeMagic) || f.v5 && (magic == leafNMagicV || magic == nodeMagicV):
	case !f.v5 && magic == leaf1Magic || f.v5 && magic == leaf1MagicV:
		bests := int64(be.Uint32(b[end-4:]))
		if bests > end/2 {
			return nil, fmt.Errorf("a table of %d blocks", bests)
		}
		end -= 4 + bests*2
	default:
		return nil, fmt.Errorf("magic %#x", magic)
	}
	used := head + count*daSlot
	if used > end {
		return nil, fmt.Errorf("%d entries", count)
	}
	return []disk.Extent{{Off: used, Len: end - used}}, nil
}

// freeIndex parses a block of the free space index.
func (f *filesystem) freeIndex(b []byte) ([]disk.Extent, error) {
	be := binary.BigEndian
	head, at, want := int64(16), 8, uint32(dirFreeMagic)
	if f.v5 {
		head, at, want = 64, 52, dirFreeMagicV5
	}
	if magic := be.Uint32(b); magic != want {
		return nil, fmt.Errorf("magic %#x", magic)
	}
	valid := int64(be.Uint32(b[at:]))
	used := head + valid*2
	if used > int64(len(b)) {
		return nil, fmt.Errorf("%d entries", valid)
	}
	return []disk.Extent{{Off: used, Len: int64(len(b)) - used}}, nil
}
