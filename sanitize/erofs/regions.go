package erofs

import (
	"cmp"
	"context"
	"slices"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Regions accounts for every byte; see the package comment.
func (f *filesystem) Regions(ctx context.Context, emit func(sanitize.Region) error) error {
	a := account{f: f, done: map[uint64]struct{}{}}
	a.add(0, superOff, sanitize.BootCode, "boot block")
	a.add(superOff, f.head-superOff, sanitize.Metadata, "superblock")
	if f.packed != 0 {
		n, err := f.inode(f.packed)
		if err != nil {
			return err
		}
		if err := a.inode(ctx, n, "packed inode"); err != nil {
			return err
		}
	}
	if err := f.descend(ctx, func(n *inode, path string) error { return a.inode(ctx, n, path) }); err != nil {
		return err
	}
	rest := func(e disk.Extent) error { return f.unreached(e, emit) }
	if err := sanitize.Tile(disjoint(a.pieces), 0, f.size, emit, rest); err != nil {
		return err
	}
	return sanitize.Tail(f.r, f.size, emit)
}

type account struct {
	f      *filesystem
	pieces []sanitize.Region
	done   map[uint64]struct{}
}

func (a *account) add(off, n int64, c sanitize.Class, owner string) {
	if n > 0 {
		a.pieces = append(a.pieces, sanitize.Region{Extent: disk.Extent{Off: off, Len: n}, Class: c, Owner: owner})
	}
}

// inode accounts for an inode, its attributes and its content.
func (a *account) inode(ctx context.Context, n *inode, path string) error {
	if _, ok := a.done[n.nid]; ok {
		return nil
	}
	a.done[n.nid] = struct{}{}
	const owner = "inodes"
	a.add(n.off, n.len+n.xattrs, sanitize.Metadata, owner)
	attrs, err := a.f.attributes(n)
	if err != nil {
		return err
	}
	for _, x := range attrs {
		if x.shared {
			a.add(x.Off, x.Len, sanitize.Metadata, "shared attributes")
		}
	}
	m, err := a.f.mapping(ctx, n)
	if err != nil {
		return err
	}
	a.add(m.index.Off, m.index.Len, sanitize.Metadata, owner)
	class := sanitize.Live
	if n.kind() == modeDir {
		class, path = sanitize.Metadata, "directory "+path
	}
	for _, p := range m.pieces {
		a.add(p.phys, p.stored, class, path)
	}
	return nil
}

// disjoint sorts pieces and lets the first owner of a byte keep it: files may
// share chunks and compressed blocks.
func disjoint(pieces []sanitize.Region) []sanitize.Region {
	slices.SortStableFunc(pieces, func(a, b sanitize.Region) int { return cmp.Compare(a.Off, b.Off) })
	var end int64
	kept := pieces[:0]
	for _, p := range pieces {
		if p.End() <= end {
			continue
		}
		if p.Off < end {
			p.Off, p.Len = end, p.End()-end
		}
		kept = append(kept, p)
		end = p.End()
	}
	return kept
}

// unreached splits what nothing leads to: the rest of blocks in use, and whole
// blocks.
func (f *filesystem) unreached(e disk.Extent, emit func(sanitize.Region) error) error {
	from, to := min(roundUp(e.Off, f.block), e.End()), e.End()&^(f.block-1)
	if to < from {
		to = from
	}
	for _, g := range []sanitize.Region{
		{Extent: disk.Extent{Off: e.Off, Len: from - e.Off}, Class: sanitize.Slack, Owner: "rest of a block"},
		{Extent: disk.Extent{Off: from, Len: to - from}, Class: sanitize.Free, Owner: "blocks that nothing leads to"},
		{Extent: disk.Extent{Off: to, Len: e.End() - to}, Class: sanitize.Slack, Owner: "rest of a block"},
	} {
		if g.Len == 0 {
			continue
		}
		if err := emit(g); err != nil {
			return err
		}
	}
	return nil
}
