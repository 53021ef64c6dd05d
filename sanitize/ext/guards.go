package ext

import (
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Layout of the block of multi-mount protection, DISK section "Multiple Mount
// Protection".
const (
	mmpMagic    = 0x004d4d50
	mmpClean    = 0xff4d4d50
	mmpNames    = 16 // of the machine and the device that mounted last
	mmpInterval = 112
	mmpPadding  = 114
	mmpSum      = 1020
	mmpLen      = 1024
)

func (f *filesystem) hasMMP() bool {
	return f.incompat&incompatMMP != 0 && f.mmpBlock > 0 && f.mmpBlock < f.blocks
}

// mmpDead returns what is dead in the block: names and padding.
func (f *filesystem) mmpDead() []disk.Extent {
	return []disk.Extent{
		{Off: mmpNames, Len: mmpInterval - mmpNames}, {Off: mmpPadding, Len: mmpSum - mmpPadding}, {Off: mmpLen, Len: f.block - mmpLen},
	}
}

// checkMMP refuses a filesystem that another machine has mounted.
func (f *filesystem) checkMMP() error {
	if !f.hasMMP() {
		return nil
	}
	b := make([]byte, 8)
	if err := sanitize.ReadFull(f.r, b, f.mmpBlock*f.block); err != nil {
		return err
	}
	le := binary.LittleEndian
	switch {
	case le.Uint32(b) != mmpMagic:
		return fmt.Errorf("the block of multi-mount protection has no magic")
	case le.Uint32(b[4:]) != mmpClean:
		return refused("another machine may have the filesystem mounted")
	}
	return nil
}

// mmp seals the block of multi-mount protection.
func (s *sealer) mmp() error {
	if !s.f.hasMMP() || !s.f.hasChecksums() {
		return nil
	}
	b := make([]byte, mmpLen)
	off := s.f.mmpBlock * s.f.block
	if err := sanitize.ReadFull(s.w, b, off); err != nil {
		return err
	}
	return s.put(b[mmpSum:mmpSum+4], crc(s.f.seed, b[:mmpSum]), off+mmpSum)
}

// orphanTail is the length of the magic and the checksum at the end of each
// block of the orphan file, DISK section "Orphan file".
const orphanTail = 8

func (f *filesystem) isOrphanFile(n *inode) bool { return n.num == f.orphanFile && n.num != 0 }

// orphans seals the blocks of the orphan file. Their checksum covers their
// place as well.
func (s *sealer) orphans(n *inode, m fileMap) error {
	b := make([]byte, s.f.block)
	for _, r := range m.runs {
		for i := range r.Count {
			phys := r.Phys + i
			if err := sanitize.ReadFull(s.w, b, phys*s.f.block); err != nil {
				return err
			}
			entries := s.f.block - orphanTail
			sum := crc(n.seed(s.f.super), binary.LittleEndian.AppendUint64(nil, uint64(phys)))
			if err := s.put(b[entries+4:], crc(sum, b[:entries]), phys*s.f.block+entries+4); err != nil {
				return err
			}
		}
	}
	return nil
}
