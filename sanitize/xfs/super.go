package xfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Flags of sb_versionnum and sb_features2, XADS section "Superblocks".
const (
	versionMask   = 0xf
	versionShared = 0x200
	versionLogV2  = 0x400
	versionDirV2  = 0x2000
	versionMore   = 0x8000
	features2Type = 0x200 // file types in directories of version 4
)

// Feature flags of version 5.
const (
	roFinobt     = 1
	roRmapbt     = 2
	roReflink    = 4
	roInobtCount = 8
	roKnown      = roFinobt | roRmapbt | roReflink | roInobtCount

	incompatFileType    = 0x1
	incompatSparse      = 0x2
	incompatMetaUUID    = 0x4
	incompatBigTime     = 0x8
	incompatNeedsRepair = 0x10
	incompatNrext64     = 0x20
	incompatExchange    = 0x40
	incompatParent      = 0x80
	incompatKnown       = incompatFileType | incompatSparse | incompatMetaUUID | incompatBigTime |
		incompatNeedsRepair | incompatNrext64 | incompatExchange | incompatParent
)

const (
	superMagic  = 0x58465342 // "XFSB"
	superLen    = 264        // bytes of the superblock in use, version 5
	superLenV4  = 208
	superOffSum = 224
	maxGroups   = 1 << 20 // allocation groups that are believed: 1 PiB in groups of 1 GiB
)

// super is what the superblock says. Lengths are in bytes, positions in
// blocks, unless said otherwise.
type super struct {
	block, blockLog   int64
	sector            int64
	blocks            int64 // of the data section
	realtime          uint64
	agBlocks, agCount int64
	agBlockLog        uint
	inodeSize         int64
	inodesPerBlockLog uint
	dirBlock          int64 // bytes in a block of a directory
	logStart          uint64
	logBlocks         int64
	root              uint64
	system            [5]uint64 // real-time bitmap and summary, user, group and project quota
	uuid              [16]byte
	v5, logV2         bool
	fileType          bool
	ro, incompat      uint32
	inProgress        bool
	label             string
}

func readSuper(r disk.Reader) (*super, error) {
	if r.Size() < superLen {
		return nil, sanitize.ErrNotRecognized
	}
	b := make([]byte, superLen)
	if err := sanitize.ReadFull(r, b, 0); err != nil {
		return nil, err
	}
	be := binary.BigEndian
	if be.Uint32(b) != superMagic {
		return nil, sanitize.ErrNotRecognized
	}
	version, features2 := be.Uint16(b[100:]), uint32(0)
	if version&versionMore != 0 {
		features2 = be.Uint32(b[200:])
	}
	s := &super{
		block: int64(be.Uint32(b[4:])), sector: int64(be.Uint16(b[102:])), blocks: int64(be.Uint64(b[8:])),
		realtime: be.Uint64(b[16:]) | be.Uint64(b[24:]),
		agBlocks: int64(be.Uint32(b[84:])), agCount: int64(be.Uint32(b[88:])), agBlockLog: uint(b[124]),
		inodeSize: int64(be.Uint16(b[104:])), inodesPerBlockLog: uint(b[123]),
		logStart: be.Uint64(b[48:]), logBlocks: int64(be.Uint32(b[96:])), root: be.Uint64(b[56:]),
		v5: version&versionMask == 5, logV2: version&versionLogV2 != 0, inProgress: b[126] != 0,
		label: string(bytes.TrimRight(b[108:120], "\x00")),
	}
	s.blockLog = int64(bits.TrailingZeros64(uint64(s.block)))
	copy(s.uuid[:], b[32:48])
	s.system = [5]uint64{be.Uint64(b[64:]), be.Uint64(b[72:]), be.Uint64(b[160:]), be.Uint64(b[168:])}
	s.fileType = features2&features2Type != 0
	if s.v5 {
		s.ro, s.incompat = be.Uint32(b[212:]), be.Uint32(b[216:])
		s.fileType = s.incompat&incompatFileType != 0
		s.system[4] = be.Uint64(b[232:])
		s.logV2 = true
	}
	if n := version & versionMask; n != 4 && n != 5 || version&versionDirV2 == 0 && !s.v5 || version&versionShared != 0 {
		return nil, fmt.Errorf("version %#x: %w", version, sanitize.ErrNotRecognized)
	}
	if compat := be.Uint32(b[208:]); s.v5 && (compat != 0 || s.ro&^roKnown != 0 || s.incompat&^incompatKnown != 0) {
		return nil, fmt.Errorf("unknown features %#x, %#x, %#x: %w", compat, s.ro&^roKnown, s.incompat&^incompatKnown, sanitize.ErrNotRecognized)
	}
	return s, s.check(r, uint(b[192]))
}

// check bounds everything that later arithmetic relies on.
func (s *super) check(r disk.Reader, dirBlockLog uint) error {
	power := func(n, from, to int64) bool { return n >= from && n <= to && n&(n-1) == 0 }
	switch {
	case !power(s.block, 512, 64<<10):
		return fmt.Errorf("block size %d", s.block)
	case !power(s.sector, 512, 32<<10):
		return fmt.Errorf("sector size %d", s.sector)
	case !power(s.inodeSize, 256, 2048) || s.inodeSize > s.block || s.inodeSize<<s.inodesPerBlockLog != s.block:
		return fmt.Errorf("inode size %d with 2^%d in a block of %d", s.inodeSize, s.inodesPerBlockLog, s.block)
	case s.blocks <= 0 || s.blocks > r.Size()/s.block:
		return fmt.Errorf("%d blocks of %d bytes in a volume of %d", s.blocks, s.block, r.Size())
	case s.agCount <= 0 || s.agCount > maxGroups || s.agBlocks < s.headerBlocks() || s.agBlocks > 1<<31 ||
		(s.blocks+s.agBlocks-1)/s.agBlocks != s.agCount || s.groupLen(s.agCount-1) < s.headerBlocks():
		return fmt.Errorf("%d blocks in %d allocation groups of %d", s.blocks, s.agCount, s.agBlocks)
	case s.agBlockLog != uint(bits.Len64(uint64(s.agBlocks-1))):
		return fmt.Errorf("allocation groups of %d blocks with %d bits", s.agBlocks, s.agBlockLog)
	case dirBlockLog > 16 || s.block<<dirBlockLog > 64<<10:
		return fmt.Errorf("directory blocks of 2^%d blocks", dirBlockLog)
	}
	s.dirBlock = s.block << dirBlockLog
	if s.logStart == 0 {
		return nil
	}
	if at, err := s.physical(s.logStart); err != nil || s.logBlocks <= 0 || s.logBlocks > s.groupLen(at/s.agBlocks)-at%s.agBlocks {
		return fmt.Errorf("a log of %d blocks at block %#x", s.logBlocks, s.logStart)
	}
	return nil
}

// headerBlocks is the number of blocks that the four header sectors of an
// allocation group take.
func (s *super) headerBlocks() int64 { return (4*s.sector + s.block - 1) / s.block }

// groupLen returns the number of blocks of allocation group n.
func (s *super) groupLen(n int64) int64 { return min(s.agBlocks, s.blocks-n*s.agBlocks) }

// physical turns a filesystem block number, which holds the allocation group
// in its upper bits, into a position on the volume.
func (s *super) physical(block uint64) (int64, error) {
	n, at := block>>s.agBlockLog, int64(block&(1<<s.agBlockLog-1))
	if n >= uint64(s.agCount) || at >= s.groupLen(int64(n)) {
		return 0, fmt.Errorf("block %#x lies outside of the filesystem", block)
	}
	return int64(n)*s.agBlocks + at, nil
}

// extent checks that count blocks at position phys lie in one group.
func (s *super) extent(phys, count int64) error {
	if n := phys / s.agBlocks; count <= 0 || count > s.groupLen(n)-phys%s.agBlocks {
		return fmt.Errorf("%d blocks at block %d leave their allocation group", count, phys)
	}
	return nil
}

// hasFinobt, hasRmapbt and hasReflink tell which trees a group has.
func (s *super) hasFinobt() bool  { return s.ro&roFinobt != 0 }
func (s *super) hasRmapbt() bool  { return s.ro&roRmapbt != 0 }
func (s *super) hasReflink() bool { return s.ro&roReflink != 0 }
