package ext

import (
	"context"
	"fmt"
	"sort"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// usage holds the pieces to the block bitmaps: what is owned must be
// allocated, and what is not owned is free, the rest of a cluster, or unknown.
type usage struct {
	f      *filesystem
	ctx    context.Context
	emit   func(sanitize.Region) error
	pieces []sanitize.Region // sorted once tiling has begun
	group  int64
	bits   bitmap
}

// load reads the bitmap of the group that block lies in, and returns the block
// behind the group.
func (u *usage) load(block int64) (end int64, err error) {
	g := (block - u.f.firstData) / u.f.blocksPerGroup
	if g != u.group {
		if err := u.ctx.Err(); err != nil {
			return 0, err
		}
		if u.bits, err = u.f.blocksInUse(g); err != nil {
			return 0, err
		}
		u.group = g
	}
	return min(u.f.groupStart(g)+u.f.blocksPerGroup, u.f.blocks), nil
}

// run returns whether block is in use, and the end of the run of blocks up to
// end that are so as well. A group without a bitmap is one run; known is false.
func (u *usage) run(block, end int64) (used, known bool, next int64, err error) {
	if block < u.f.firstData {
		return true, true, min(u.f.firstData, end), nil
	}
	last, err := u.load(block)
	if err != nil {
		return false, false, 0, err
	}
	end = min(end, last)
	if u.bits == nil {
		return false, false, end, nil
	}
	start := u.f.groupStart(u.group)
	first, limit := (block-start)/u.f.cluster, (end-start+u.f.cluster-1)/u.f.cluster
	used, length := u.bits.run(first, limit)
	return used, true, min(start+(first+length)*u.f.cluster, end), nil
}

func (u *usage) claimed(g sanitize.Region) error {
	last := (g.End() + u.f.block - 1) / u.f.block
	for b := g.Off / u.f.block; b < last; {
		used, known, next, err := u.run(b, last)
		if err != nil {
			return err
		}
		if known && !used {
			return fmt.Errorf("block %d of %s is free in the bitmap", b, g.Owner)
		}
		b = next
	}
	return u.emit(g)
}

func (u *usage) unclaimed(e disk.Extent) error {
	var last sanitize.Region
	end := e.End() / u.f.block
	for b := e.Off / u.f.block; b < end; {
		used, _, next, err := u.run(b, end)
		if err != nil {
			return err
		}
		class, owner := sanitize.Free, "free blocks"
		if used {
			class, owner = u.unowned(b)
			if u.f.cluster > 1 { // another cluster may be another matter
				next = min(next, b+u.f.cluster-(b-u.f.firstData)%u.f.cluster)
			}
		}
		g := sanitize.Region{Extent: disk.Extent{Off: b * u.f.block, Len: (next - b) * u.f.block}, Class: class, Owner: owner}
		b = next
		if last.Len > 0 && last.Class == class && last.Owner == owner {
			last.Len += g.Len
			continue
		}
		if last.Len > 0 {
			if err := u.emit(last); err != nil {
				return err
			}
		}
		last = g
	}
	return u.emit(last)
}

// unowned says what a block is that is in use and that nothing leads to.
func (u *usage) unowned(block int64) (sanitize.Class, string) {
	if u.f.cluster > 1 {
		if u.hasNeighbour(block) {
			return sanitize.Slack, "unmapped blocks of a cluster"
		}
	}
	return sanitize.Unknown, "allocated blocks without an owner"
}

// hasNeighbour reports whether something owns a part of the cluster of block.
// What owns one leads to all that it has, so the rest is nobody's.
func (u *usage) hasNeighbour(block int64) bool {
	start := block - (block-u.f.firstData)%u.f.cluster
	from, to := start*u.f.block, (start+u.f.cluster)*u.f.block
	i := sort.Search(len(u.pieces), func(i int) bool { return u.pieces[i].End() > from })
	return i < len(u.pieces) && u.pieces[i].Off < to
}
