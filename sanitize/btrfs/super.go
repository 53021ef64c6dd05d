package btrfs

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Layout of the superblock, BTRFS section "Superblock". Numbers are
// little-endian.
const (
	superMagic    = "_BHRfS_M"
	superLen      = 4096
	superFirst    = 64 << 10
	offBytenr     = 0x30
	offMagic      = 0x40
	offGeneration = 0x48
	offLabel      = 0x12b
	labelLen      = 256
	offSysChunks  = 0x32b
	sysChunksLen  = 2048
	offBackups    = offSysChunks + sysChunksLen
	backupLen     = 168
	backups       = 4
	offPadding    = offBackups + backups*backupLen

	incompatKnown = 0xfff // up to RAID1C34; not zoned, not the second extent tree
	incompatQuota = 1 << 16
	compatROKnown = 0xf // free space tree and its validity, verity, block group tree
)

// root points at the root of a tree.
type root struct {
	logical    int64
	generation uint64
	level      uint8
}

// super is what the superblock says. Lengths are in bytes.
type super struct {
	generation       uint64
	tree, chunkTree  root
	logRoot, flags   uint64
	size             int64 // of the filesystem
	devices          uint64
	device           uint64 // number of this one
	sector, nodeSize int64
	sysChunks        []byte
	sums             sums
	compatRO         uint64
	label            string
}

func readSuper(r disk.Reader) (*super, error) {
	if r.Size() < superFirst+superLen {
		return nil, sanitize.ErrNotRecognized
	}
	b := make([]byte, superLen)
	if err := sanitize.ReadFull(r, b, superFirst); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if string(b[offMagic:offMagic+8]) != superMagic {
		return nil, sanitize.ErrNotRecognized
	}
	label, _, _ := bytes.Cut(b[offLabel:offLabel+labelLen], []byte{0})
	s := &super{
		generation: le.Uint64(b[offGeneration:]), flags: le.Uint64(b[0x38:]),
		tree:      root{int64(le.Uint64(b[0x50:])), le.Uint64(b[offGeneration:]), b[0xc6]},
		chunkTree: root{int64(le.Uint64(b[0x58:])), le.Uint64(b[0xa4:]), b[0xc7]},
		logRoot:   le.Uint64(b[0x60:]), devices: le.Uint64(b[0x88:]), device: le.Uint64(b[0xc9:]),
		size:   int64(le.Uint64(b[0xd1:])), // of the device item
		sector: int64(le.Uint32(b[0x90:])), nodeSize: int64(le.Uint32(b[0x94:])),
		compatRO: le.Uint64(b[0xb4:]), label: string(label),
	}
	if incompat := le.Uint64(b[0xbc:]); incompat&^(incompatKnown|incompatQuota) != 0 || s.compatRO&^compatROKnown != 0 {
		return nil, fmt.Errorf("unknown features %#x, %#x: %w", incompat, s.compatRO, sanitize.ErrNotRecognized)
	}
	var err error
	if s.sums, err = sumsOf(le.Uint16(b[0xc4:])); err != nil {
		return nil, err
	}
	power := func(n, from, to int64) bool { return n >= from && n <= to && n&(n-1) == 0 }
	sys := int64(le.Uint32(b[0xa0:]))
	switch {
	case int64(le.Uint64(b[offBytenr:])) != superFirst:
		return nil, fmt.Errorf("the superblock is a copy of that at byte %d", le.Uint64(b[offBytenr:]))
	case !power(s.sector, 4096, 64<<10) || !power(s.nodeSize, s.sector, 64<<10):
		return nil, fmt.Errorf("sectors of %d bytes and tree blocks of %d", s.sector, s.nodeSize)
	case s.size <= superFirst+superLen || s.size > r.Size():
		return nil, fmt.Errorf("a filesystem of %d bytes in a volume of %d", s.size, r.Size())
	case sys > sysChunksLen:
		return nil, fmt.Errorf("%d bytes of system chunks", sys)
	}
	s.sysChunks = b[offSysChunks : offSysChunks+sys]
	return s, nil
}

// copies returns where copies of the superblock are, if the filesystem is
// large enough for them.
func (s *super) copies() []int64 {
	var at []int64
	for _, off := range []int64{superFirst, 64 << 20, 256 << 30} {
		if off+superLen <= s.size {
			at = append(at, off)
		}
	}
	return at
}

// readCopy reads the copy of the superblock at off. ok is false when there is
// none of this generation.
func (f *filesystem) readCopy(off int64) (b []byte, ok bool, err error) {
	b = make([]byte, superLen)
	if err := sanitize.ReadFull(f.r, b, off); err != nil {
		return nil, false, err
	}
	le := binary.LittleEndian
	ok = string(b[offMagic:offMagic+8]) == superMagic && int64(le.Uint64(b[offBytenr:])) == off &&
		le.Uint64(b[offGeneration:]) == f.generation && int(le.Uint32(b[0xa0:])) == len(f.sysChunks)
	return b, ok, nil
}

// superDead returns what is dead in a copy of the superblock: what a label or
// a list of system chunks that was longer has left, and the positions of trees
// of former generations, whose blocks are free.
func (f *filesystem) superDead(b []byte) []disk.Extent {
	var dead []disk.Extent
	used := min(int64(len(f.label))+1, labelLen) // with the zero behind it
	dead = append(dead, disk.Extent{Off: offLabel + used, Len: labelLen - used})
	used = int64(len(f.sysChunks))
	dead = append(dead, disk.Extent{Off: offSysChunks + used, Len: sysChunksLen - used})
	for i := range int64(backups) {
		at := offBackups + i*backupLen
		if binary.LittleEndian.Uint64(b[at+8:]) != f.generation {
			dead = append(dead, disk.Extent{Off: at, Len: backupLen})
		}
	}
	return append(dead, disk.Extent{Off: offPadding, Len: superLen - offPadding})
}
