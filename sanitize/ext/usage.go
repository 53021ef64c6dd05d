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

// allocated reports whether block is in use. known is false in a group whose
// bitmap is not initialised.
func (u *usage) allocated(block int64) (used, known bool, err error) {
	if block < u.f.firstData {
		return true, true, nil
	}
	g := (block - u.f.firstData) / u.f.blocksPerGroup
	if g != u.group {
		if err := u.ctx.Err(); err != nil {
			return false, false, err
		}
		if u.bits, err = u.f.blocksInUse(g); err != nil {
			return false, false, err
		}
		u.group = g
	}
	if u.bits == nil {
		return false, false, nil
	}
	return u.bits.set((block - u.f.groupStart(g)) / u.f.cluster), true, nil
}

func (u *usage) claimed(g sanitize.Region) error {
	for b := g.Off / u.f.block; b*u.f.block < g.End(); b++ {
		used, known, err := u.allocated(b)
		if err != nil {
			return err
		}
		if known && !used {
			return fmt.Errorf("block %d of %s is free in the bitmap", b, g.Owner)
		}
	}
	return u.emit(g)
}

func (u *usage) unclaimed(e disk.Extent) error {
	var run sanitize.Region
	for b := e.Off / u.f.block; b < e.End()/u.f.block; b++ {
		class, owner, err := u.classify(b)
		if err != nil {
			return err
		}
		if run.Len > 0 && run.Class == class && run.Owner == owner {
			run.Len += u.f.block
			continue
		}
		if run.Len > 0 {
			if err := u.emit(run); err != nil {
				return err
			}
		}
		run = sanitize.Region{Extent: disk.Extent{Off: b * u.f.block, Len: u.f.block}, Class: class, Owner: owner}
	}
	return u.emit(run)
}

func (u *usage) classify(block int64) (sanitize.Class, string, error) {
	used, _, err := u.allocated(block)
	switch {
	case err != nil:
		return 0, "", err
	case !used:
		return sanitize.Free, "free blocks", nil
	case u.f.cluster > 1:
		if p, ok := u.neighbour(block); ok {
			if p.Class == sanitize.Live || p.Class == sanitize.Slack {
				return sanitize.Slack, "unmapped blocks of a cluster", nil
			}
			return sanitize.Metadata, "rest of a metadata cluster", nil
		}
	}
	return sanitize.Unknown, "allocated blocks without an owner", nil
}

// neighbour returns a piece in the cluster of block.
func (u *usage) neighbour(block int64) (sanitize.Region, bool) {
	start := block - (block-u.f.firstData)%u.f.cluster
	from, to := start*u.f.block, (start+u.f.cluster)*u.f.block
	i := sort.Search(len(u.pieces), func(i int) bool { return u.pieces[i].End() > from })
	if i == len(u.pieces) || u.pieces[i].Off >= to {
		return sanitize.Region{}, false
	}
	return u.pieces[i], true
}
