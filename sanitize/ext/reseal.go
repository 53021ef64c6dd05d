package ext

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Reseal makes backup superblocks agree with the primary and recomputes the
// checksums of superblocks, inode records, directory blocks, extent blocks,
// attribute blocks and the like (DISK section "Checksums"). Descriptors and
// bitmaps hold no dead bytes that a checksum covers. Only what differs is
// written.
func (f *filesystem) Reseal(ctx context.Context, w disk.Writer) error {
	after := *f
	after.r, after.contents = w, w
	s := sealer{f: &after, w: w, ctx: ctx, attrs: visited{}, buf: make([]byte, f.block)}
	if err := s.supers(); err != nil {
		return fmt.Errorf("resealing the superblocks: %w", err)
	}
	if err := s.mmp(); err != nil {
		return fmt.Errorf("resealing the multi-mount protection: %w", err)
	}
	if !f.hasChecksums() {
		return nil
	}
	for g := range after.groupCount() {
		used, err := after.inodesInUse(g)
		if err != nil {
			return err
		}
		for i := range after.inodesPerGroup {
			if used == nil || !used.set(i) {
				continue
			}
			num := uint32(g*after.inodesPerGroup + i + 1)
			if err := s.inode(num, after.groups[g].inodeTable*after.block+i*after.inodeSize); err != nil {
				return fmt.Errorf("resealing inode %d: %w", num, err)
			}
		}
	}
	return nil
}

type sealer struct {
	f     *filesystem
	w     disk.Writer
	ctx   context.Context
	attrs visited
	buf   []byte // of one block
}

// put writes a checksum at off unless it stands there already.
func (s *sealer) put(old []byte, sum uint32, off int64) error {
	p := binary.LittleEndian.AppendUint32(nil, sum)[:len(old)]
	if string(p) == string(old) {
		return nil
	}
	_, err := s.w.WriteAt(p, off)
	return err
}

func (s *sealer) inode(num uint32, off int64) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	n, err := s.f.inode(num)
	if err != nil {
		return err
	}
	if n.acl != 0 && num != inodeResize {
		if err := s.attributes(n.acl); err != nil {
			return err
		}
	}
	if num != inodeResize {
		m, err := s.f.mapping(s.ctx, n, nil)
		if err != nil {
			return err
		}
		if err := s.mapBlocks(n, m); err != nil {
			return err
		}
		if s.f.isOrphanFile(n) {
			if err := s.orphans(n, m); err != nil {
				return err
			}
		}
		if n.kind() == modeDir && !n.has(flagInline) {
			err := s.f.directory(s.ctx, n, m, s.buf, func(dirent) {}, func(d dirBlock) error { return s.dir(n, d) })
			if err != nil {
				return err
			}
		}
	}
	return s.record(n, off)
}

// record seals the record itself: 32 bits where the extra fields have room
// for the upper half.
func (s *sealer) record(n *inode, off int64) error {
	raw, wide := append([]byte(nil), n.raw...), n.extra >= offChecksumHigh+2-inodeOldSize
	clear(raw[offChecksumLow : offChecksumLow+2])
	if wide {
		clear(raw[offChecksumHigh : offChecksumHigh+2])
	}
	sum := crc(n.seed(s.f.super), raw)
	if allZero(n.raw) {
		return nil // never written: no checksum is expected there
	}
	if err := s.put(n.raw[offChecksumLow:offChecksumLow+2], sum, off+offChecksumLow); err != nil || !wide {
		return err
	}
	return s.put(n.raw[offChecksumHigh:offChecksumHigh+2], sum>>16, off+offChecksumHigh)
}

func allZero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}

// attributes seals an attribute block once, however many files share it.
func (s *sealer) attributes(phys int64) error {
	if _, ok := s.attrs[phys]; ok {
		return nil
	}
	s.attrs[phys] = struct{}{}
	_, b, err := s.f.xattrBlock(phys)
	if err != nil {
		return err
	}
	old := append([]byte(nil), b[xattrOffSum:xattrOffSum+4]...)
	clear(b[xattrOffSum : xattrOffSum+4])
	seed := crc(s.f.seed, binary.LittleEndian.AppendUint64(nil, uint64(phys)))
	return s.put(old, crc(seed, b), phys*s.f.block+xattrOffSum)
}

func (s *sealer) mapBlocks(n *inode, m fileMap) error {
	for _, t := range m.tree {
		at := extentHeader + t.max*extentEntry
		if t.entries < 0 || at+4 > s.f.block {
			continue
		}
		b := make([]byte, s.f.block)
		if err := sanitize.ReadFull(s.f.r, b, t.phys*s.f.block); err != nil {
			return err
		}
		if err := s.put(b[at:at+4], crc(n.seed(s.f.super), b[:at]), t.phys*s.f.block+at); err != nil {
			return err
		}
	}
	return nil
}

func (s *sealer) dir(n *inode, d dirBlock) error {
	if !d.linear {
		return nil
	}
	end := s.f.block
	return s.put(d.data[end-4:], crc(n.seed(s.f.super), d.data[:end-dirTailLen]), d.phys*s.f.block+end-4)
}
