package ext

import (
	"bytes"
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
	t := tableReader{f: &after, r: w}
	for g := range after.groupCount() {
		err := t.group(g, func(n *inode, off int64) error {
			if err := s.inode(n, off); err != nil {
				return fmt.Errorf("resealing inode %d: %w", n.num, err)
			}
			return nil
		})
		if err != nil {
			return err
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
	var p [4]byte
	binary.LittleEndian.PutUint32(p[:], sum)
	if string(p[:len(old)]) == string(old) {
		return nil
	}
	_, err := s.w.WriteAt(bytes.Clone(p[:len(old)]), off)
	return err
}

// inode seals the record of n, which begins at byte off, and what n leads to.
func (s *sealer) inode(n *inode, off int64) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if n.acl != 0 && n.num != inodeResize {
		if err := s.attributes(n.acl); err != nil {
			return err
		}
	}
	if n.num != inodeResize && s.f.sealsMapped(n) {
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
	if disk.IsZero(n.raw) {
		return nil // never written: no checksum is expected there
	}
	const low, high = offChecksumLow, offChecksumHigh
	wide := n.extra >= high+2-inodeOldSize
	sum := crc(crc(n.seed(s.f.super), n.raw[:low]), noSum)
	if wide {
		sum = crc(crc(crc(sum, n.raw[low+2:high]), noSum), n.raw[high+2:])
	} else {
		sum = crc(sum, n.raw[low+2:])
	}
	if err := s.put(n.raw[offChecksumLow:offChecksumLow+2], sum, off+offChecksumLow); err != nil || !wide {
		return err
	}
	return s.put(n.raw[offChecksumHigh:offChecksumHigh+2], sum>>16, off+offChecksumHigh)
}

// noSum stands in a record for each half of its checksum.
var noSum = make([]byte, 2)

// sealsMapped reports whether a checksum is among the blocks that n leads to.
func (f *filesystem) sealsMapped(n *inode) bool {
	depth := 0
	if n.mapped() && n.has(flagExtents) {
		depth = int(binary.LittleEndian.Uint16(n.iBlock()[6:]))
	}
	return depth > 0 || n.kind() == modeDir || f.isOrphanFile(n)
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
