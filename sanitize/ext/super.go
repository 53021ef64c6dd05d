package ext

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Feature flags, DISK section "The Super Block".
const (
	compatJournal      = 0x4
	compatResizeInode  = 0x10
	compatSparseSuper2 = 0x200

	incompatFiletype   = 0x2
	incompatRecover    = 0x4
	incompatMetaBG     = 0x10
	incompatExtents    = 0x40
	incompat64Bit      = 0x80
	incompatMMP        = 0x100
	incompatFlexBG     = 0x200
	incompatEAInode    = 0x400
	incompatCsumSeed   = 0x2000
	incompatLargeDir   = 0x4000
	incompatInlineData = 0x8000
	incompatEncrypt    = 0x10000
	incompatCasefold   = 0x20000
	incompatKnown      = incompatFiletype | incompatRecover | incompatMetaBG | incompatExtents | incompat64Bit |
		incompatMMP | incompatFlexBG | incompatEAInode | incompatCsumSeed | incompatLargeDir |
		incompatInlineData | incompatEncrypt | incompatCasefold

	roSparseSuper   = 0x1
	roLargeFile     = 0x2
	roBtreeDir      = 0x4
	roHugeFile      = 0x8
	roGDTCsum       = 0x10
	roDirNlink      = 0x20
	roExtraIsize    = 0x40
	roQuota         = 0x100
	roBigalloc      = 0x200
	roMetadataCsum  = 0x400
	roReadonly      = 0x1000
	roProject       = 0x2000
	roVerity        = 0x8000
	roOrphanPresent = 0x10000
	// Shared blocks and snapshots are left out: a block then has two owners.
	roKnown = roSparseSuper | roLargeFile | roBtreeDir | roHugeFile | roGDTCsum | roDirNlink | roExtraIsize |
		roQuota | roBigalloc | roMetadataCsum | roReadonly | roProject | roVerity | roOrphanPresent
)

// Numbers of special inodes, DISK section "Special inodes".
const (
	inodeBad    = 1
	inodeRoot   = 2
	inodeResize = 7
)

const (
	superOff = 1024 // bytes before the superblock
	superLen = 1024
	extMagic = 0xef53
)

// super is what the superblock says.
type super struct {
	inodes, blocks       int64
	firstData            int64 // first block of group 0
	block                int64 // bytes in a block
	cluster              int64 // blocks in a cluster; 1 without bigalloc
	blocksPerGroup       int64
	inodesPerGroup       int64
	inodeSize            int64
	descSize             int64
	firstInode           uint32
	reservedGDT          int64
	firstMetaBG          int64
	compat               uint32
	incompat             uint32
	roCompat             uint32
	state                uint16
	lastOrphan           uint32
	journalInum          uint32
	orphanFile, prjQuota uint32
	backups              [2]uint32 // groups with a backup under sparse_super2
	mmpBlock             int64
	seed                 uint32 // of metadata checksums
	label                string
	deadInSuper          []disk.Extent // relative to the superblock
}

func readSuper(r disk.Reader) (*super, error) {
	if r.Size() < superOff+superLen {
		return nil, sanitize.ErrNotRecognized
	}
	b := make([]byte, superLen)
	if err := sanitize.ReadFull(r, b, superOff); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	u32 := func(off int) int64 { return int64(le.Uint32(b[off:])) }
	u16 := func(off int) int64 { return int64(le.Uint16(b[off:])) }
	if u16(0x38) != extMagic {
		return nil, sanitize.ErrNotRecognized
	}
	s := &super{
		inodes: u32(0x0), blocks: u32(0x4), firstData: u32(0x14), cluster: 1,
		blocksPerGroup: u32(0x20), inodesPerGroup: u32(0x28), inodeSize: 128, descSize: 32, firstInode: 11,
		compat: uint32(u32(0x5c)), incompat: uint32(u32(0x60)), roCompat: uint32(u32(0x64)),
		state: uint16(u16(0x3a)), journalInum: uint32(u32(0xe0)), lastOrphan: uint32(u32(0xe8)),
		reservedGDT: u16(0xce), firstMetaBG: u32(0x104), orphanFile: uint32(u32(0x280)), prjQuota: uint32(u32(0x26c)),
		backups:  [2]uint32{uint32(u32(0x24c)), uint32(u32(0x250))},
		mmpBlock: int64(le.Uint64(b[0x168:])),
		label:    string(bytes.TrimRight(b[0x78:0x88], "\x00")),
	}
	if s.incompat&^incompatKnown != 0 || s.roCompat&^roKnown != 0 {
		return nil, fmt.Errorf("unknown features %#x, %#x: %w", s.incompat&^incompatKnown, s.roCompat&^roKnown, sanitize.ErrNotRecognized)
	}
	if u32(0x4c) > 0 { // s_rev_level: revision 0 has fixed sizes
		s.inodeSize, s.firstInode = u16(0x58), uint32(u32(0x54))
	}
	if s.incompat&incompat64Bit != 0 {
		s.blocks |= u32(0x150) << 32
		s.descSize = u16(0xfe)
	}
	s.deadInSuper = deadInSuper(b)
	s.seed = crc(^uint32(0), b[0x68:0x78])
	if s.incompat&incompatCsumSeed != 0 {
		s.seed = uint32(u32(0x270))
	}
	return s, s.check(r, u32(0x18), u32(0x1c))
}

// check bounds everything that later arithmetic relies on.
func (s *super) check(r disk.Reader, logBlock, logCluster int64) error {
	if logBlock > 6 {
		return fmt.Errorf("block size 2^%d", 10+logBlock)
	}
	s.block = 1024 << logBlock
	if s.roCompat&roBigalloc != 0 {
		if logCluster < logBlock || logCluster > 20 {
			return fmt.Errorf("cluster size 2^%d", 10+logCluster)
		}
		s.cluster = 1 << (logCluster - logBlock)
	}
	switch {
	case s.blocks <= s.firstData || s.blocks > r.Size()/s.block:
		return fmt.Errorf("%d blocks of %d bytes in a volume of %d", s.blocks, s.block, r.Size())
	case s.firstData > 1 || s.firstData == 1 && s.block != 1024:
		return fmt.Errorf("first data block %d", s.firstData)
	case s.blocksPerGroup == 0 || s.blocksPerGroup%8 != 0 || s.blocksPerGroup%s.cluster != 0 || s.blocksPerGroup/s.cluster > 8*s.block:
		return fmt.Errorf("%d blocks per group", s.blocksPerGroup)
	case s.inodeSize < 128 || s.inodeSize > s.block || s.inodeSize&(s.inodeSize-1) != 0:
		return fmt.Errorf("inode size %d", s.inodeSize)
	case s.inodesPerGroup == 0 || s.inodesPerGroup > 8*s.block:
		return fmt.Errorf("%d inodes per group", s.inodesPerGroup)
	case s.descSize < 32 || s.descSize > s.block || s.descSize&(s.descSize-1) != 0:
		return fmt.Errorf("descriptor size %d", s.descSize)
	case s.inodes != s.groupCount()*s.inodesPerGroup:
		return fmt.Errorf("%d inodes in %d groups of %d", s.inodes, s.groupCount(), s.inodesPerGroup)
	case s.incompat&incompatMetaBG != 0 && s.firstMetaBG > s.descBlocks():
		return fmt.Errorf("first meta group %d", s.firstMetaBG)
	}
	return nil
}

func (s *super) groupCount() int64 {
	return (s.blocks - s.firstData + s.blocksPerGroup - 1) / s.blocksPerGroup
}

// descPerBlock is the number of group descriptors in a block.
func (s *super) descPerBlock() int64 { return s.block / s.descSize }

// descBlocks is the number of blocks that hold all group descriptors.
func (s *super) descBlocks() int64 {
	return (s.groupCount() + s.descPerBlock() - 1) / s.descPerBlock()
}

// groupStart returns the first block of group g.
func (s *super) groupStart(g int64) int64 { return s.firstData + g*s.blocksPerGroup }

// superBlock returns where group g keeps its superblock, if it has one. A
// bigalloc filesystem with blocks of 1 KiB counts from block 0, which is the
// boot block (e2fsprogs, ext2fs_super_and_bgd_loc2).
func (s *super) superBlock(g int64) int64 {
	if g == 0 && s.firstData == 0 && s.block == superOff {
		return 1
	}
	return s.groupStart(g)
}

// hasSuper reports whether group g holds a copy of the superblock.
func (s *super) hasSuper(g int64) bool {
	switch {
	case g == 0:
		return true
	case s.compat&compatSparseSuper2 != 0:
		return g == int64(s.backups[0]) || g == int64(s.backups[1])
	case s.roCompat&roSparseSuper == 0 || g == 1:
		return true
	}
	return isPower(g, 3) || isPower(g, 5) || isPower(g, 7)
}

func isPower(n, base int64) bool {
	p := base
	for p < n {
		p *= base
	}
	return p == n
}

// hasChecksums reports whether metadata carries crc32c checksums.
func (s *super) hasChecksums() bool { return s.roCompat&roMetadataCsum != 0 }
