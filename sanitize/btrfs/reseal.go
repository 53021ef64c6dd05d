package btrfs

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sort"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Reseal recomputes the checksums of superblocks, of tree blocks, and of the
// data sectors that no file shows. Only what differs is written.
func (f *filesystem) Reseal(ctx context.Context, w disk.Writer) error {
	after := *f
	after.r = w
	c, err := f.count(ctx) // before the change the checksums tell which sectors are whole
	if err != nil {
		return err
	}
	s := sealer{f: &after, w: w, dead: c.unshown()}
	for _, logical := range slices.Sorted(maps.Keys(c.nodes)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.block(logical); err != nil {
			return err
		}
	}
	for _, off := range f.copies() {
		b, ok, err := after.readCopy(off)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := s.put(b, off); err != nil {
			return err
		}
	}
	return nil
}

type sealer struct {
	f    *filesystem
	w    disk.Writer
	dead []disk.Extent // logical, ascending
}

// put renews the checksum at the start of b, which lies at off.
func (s *sealer) put(b []byte, off int64) error {
	sum := s.f.sums.of(b[sumField:])
	if bytes.Equal(b[:len(sum)], sum) {
		return nil
	}
	_, err := s.w.WriteAt(sum, off)
	return err
}

// block seals each copy of a tree block.
func (s *sealer) block(logical int64) error {
	at, err := s.f.places(logical, s.f.nodeSize)
	if err != nil {
		return err
	}
	for _, off := range at {
		b := make([]byte, s.f.nodeSize)
		if err := sanitize.ReadFull(s.w, b, off); err != nil {
			return err
		}
		err := s.f.deadSums(b, s.dead, func(at, logical int64) error {
			return s.dataSum(b[at:at+s.f.sums.size], logical, off+at)
		})
		if err != nil {
			return err
		}
		if err := s.put(b, off); err != nil {
			return err
		}
	}
	return nil
}

// deadSums calls fn for each checksum in tree block b that is of a sector with dead
// bytes: with its place in the block and the sector's address. A leaf of the checksum
// tree has checksums one behind the other, for the sectors from the offset of
// the key on (BTRFS section "Checksum items").
func (f *filesystem) deadSums(b []byte, dead []disk.Extent, fn func(at, logical int64) error) error {
	n, err := parseNode(b, rootOf(b))
	if err != nil || n.owner != treeSums {
		return err
	}
	for _, it := range n.items {
		if it.kind != kindSum {
			continue
		}
		if err := f.eachSum(it, dead, func(at, logical int64) error { return fn(it.at+at, logical) }); err != nil {
			return err
		}
	}
	return nil
}

// eachSum does the same for one item: at is the place in its data.
func (f *filesystem) eachSum(it item, dead []disk.Extent, fn func(at, logical int64) error) error {
	from := int64(it.offset)
	to := from + int64(len(it.data))/f.sums.size*f.sector
	i := sort.Search(len(dead), func(i int) bool { return dead[i].End() > from })
	for ; i < len(dead) && dead[i].Off < to; i++ {
		for logical := max(dead[i].Off/f.sector*f.sector, from); logical < min(dead[i].End(), to); logical += f.sector {
			if err := fn((logical-from)/f.sector*f.sums.size, logical); err != nil {
				return err
			}
		}
	}
	return nil
}

// dataSum renews the checksum, stored at off, of the sector at a logical
// address.
func (s *sealer) dataSum(old []byte, logical, off int64) error {
	at, err := s.f.places(logical, s.f.sector)
	if err != nil {
		return err
	}
	b := make([]byte, s.f.sector)
	if err := sanitize.ReadFull(s.w, b, at[0]); err != nil {
		return err
	}
	sum := s.f.sums.of(b)
	if bytes.Equal(old[:len(sum)], sum) {
		return nil
	}
	copy(old, sum)
	_, err = s.w.WriteAt(sum, off)
	return err
}
