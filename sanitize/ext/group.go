package ext

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/sanitize"
)

// Flags of a group, DISK section "Block Group Descriptors". They count only
// where descriptors carry a checksum.
const (
	groupInodeUninit = 1
	groupBlockUninit = 2
)

// group is where a block group keeps its bitmaps and inodes, in blocks.
type group struct {
	blockBitmap, inodeBitmap, inodeTable int64
	blockUninit, inodeUninit             bool
	freeClusters, freeInodes             int64
}

// descriptorBlock returns where block n of the primary descriptors lies
// (e2fsprogs, ext2fs_descriptor_block_loc2).
func (s *super) descriptorBlock(n int64) int64 {
	if s.incompat&incompatMetaBG == 0 || n < s.firstMetaBG {
		return s.superBlock(0) + 1 + n
	}
	g := n * s.descPerBlock()
	at := s.superBlock(g)
	if s.hasSuper(g) {
		at++
	}
	return at
}

func (f *filesystem) readGroups(ctx context.Context) error {
	b := make([]byte, f.block)
	for n := range f.descBlocks() {
		if err := ctx.Err(); err != nil {
			return err
		}
		at := f.descriptorBlock(n)
		if at >= f.blocks {
			return fmt.Errorf("descriptor block %d lies at block %d of %d", n, at, f.blocks)
		}
		if err := sanitize.ReadFull(f.r, b, at*f.block); err != nil {
			return fmt.Errorf("reading group descriptors: %w", err)
		}
		for i := int64(0); i < f.descPerBlock() && int64(len(f.groups)) < f.groupCount(); i++ {
			g := f.parseGroup(b[i*f.descSize : (i+1)*f.descSize])
			if err := f.checkGroup(g); err != nil {
				return fmt.Errorf("reading group descriptor %d: %w", len(f.groups), err)
			}
			f.groups = append(f.groups, g)
		}
	}
	return nil
}

func (f *filesystem) parseGroup(d []byte) group {
	le := binary.LittleEndian
	g := group{
		blockBitmap: int64(le.Uint32(d)),
		inodeBitmap: int64(le.Uint32(d[4:])),
		inodeTable:  int64(le.Uint32(d[8:])),

		freeClusters: int64(le.Uint16(d[0xc:])),
		freeInodes:   int64(le.Uint16(d[0xe:])),
	}
	if f.descSize >= 64 {
		g.blockBitmap |= int64(le.Uint32(d[0x20:])) << 32
		g.inodeBitmap |= int64(le.Uint32(d[0x24:])) << 32
		g.inodeTable |= int64(le.Uint32(d[0x28:])) << 32
		g.freeClusters |= int64(le.Uint16(d[0x2c:])) << 16
		g.freeInodes |= int64(le.Uint16(d[0x2e:])) << 16
	}
	if f.roCompat&(roGDTCsum|roMetadataCsum) != 0 {
		flags := le.Uint16(d[0x12:])
		g.inodeUninit = flags&groupInodeUninit != 0
		g.blockUninit = flags&groupBlockUninit != 0
	}
	return g
}

func (f *filesystem) checkGroup(g group) error {
	for _, at := range []int64{g.blockBitmap, g.inodeBitmap} {
		if at < f.firstData || at >= f.blocks {
			return fmt.Errorf("a bitmap lies at block %d of %d", at, f.blocks)
		}
	}
	if g.inodeTable < f.firstData || g.inodeTable > f.blocks-f.tableBlocks() {
		return fmt.Errorf("the inode table lies at block %d of %d", g.inodeTable, f.blocks)
	}
	return nil
}

// tableBlocks is the number of blocks in the inode table of a group.
func (s *super) tableBlocks() int64 {
	return (s.inodesPerGroup*s.inodeSize + s.block - 1) / s.block
}

// bitmap is the bitmap of one group.
type bitmap []byte

func (b bitmap) set(i int64) bool { return b[i/8]>>(i%8)&1 == 1 }

// run returns bit i, and how many bits from i on, up to end, are like it.
func (b bitmap) run(i, end int64) (set bool, n int64) {
	set = b.set(i)
	same := byte(0)
	if set {
		same = 0xff
	}
	for at := i; at < end; {
		switch {
		case at%8 == 0 && at+8 <= end && b[at/8] == same:
			at += 8
		case b.set(at) == set:
			at++
		default:
			return set, at - i
		}
	}
	return set, end - i
}

// inodesInUse reads the inode bitmap of group g; nil when none is in use.
func (f *filesystem) inodesInUse(g int64) (bitmap, error) {
	if f.groups[g].inodeUninit {
		return nil, nil
	}
	b := make(bitmap, (f.inodesPerGroup+7)/8)
	if err := sanitize.ReadFull(f.r, b, f.groups[g].inodeBitmap*f.block); err != nil {
		return nil, fmt.Errorf("reading inode bitmap %d: %w", g, err)
	}
	return b, nil
}

// blocksInUse reads the block bitmap of group g, a bit for each cluster; nil
// when only the group's own metadata is in use.
func (f *filesystem) blocksInUse(g int64) (bitmap, error) {
	if f.groups[g].blockUninit {
		return nil, nil
	}
	b := make(bitmap, (f.blocksPerGroup/f.cluster+7)/8)
	if err := sanitize.ReadFull(f.r, b, f.groups[g].blockBitmap*f.block); err != nil {
		return nil, fmt.Errorf("reading block bitmap %d: %w", g, err)
	}
	return b, nil
}
