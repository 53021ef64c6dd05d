package xfs

import (
	"cmp"
	"context"
	"slices"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Regions accounts for every byte; see the package comment.
func (f *filesystem) Regions(ctx context.Context, emit func(sanitize.Region) error) error {
	a := &account{f: f}
	s := survey{ctx: ctx, f: f, unit: a.unit, extent: a.extent}
	if err := s.run(); err != nil {
		return err
	}
	a.share()
	log, err := f.logExtent()
	if err != nil {
		return err
	}
	a.extent(sanitize.Region{Extent: log, Class: sanitize.Metadata, Owner: logOwner}, false)
	// What the log holds depends on each of its sectors: it is read when its
	// turn comes.
	piece := func(g sanitize.Region) error {
		if g.Extent == log {
			return f.logRegions(ctx, emit)
		}
		return emit(g)
	}
	end := f.blocks * f.block
	rest := sanitize.Fill(sanitize.Unknown, "allocated blocks without an owner", emit)
	if err := sanitize.Tile(a.pieces, 0, end, piece, rest); err != nil {
		return err
	}
	return sanitize.Tail(f.r, end, emit)
}

// account collects what owns bytes.
type account struct {
	f      *filesystem
	pieces []sanitize.Region
	live   []sanitize.Region // of files that share blocks
	slack  []sanitize.Region
}

func (a *account) extent(g sanitize.Region, shared bool) {
	switch {
	case g.Len <= 0:
	case shared && g.Class == sanitize.Live:
		a.live = append(a.live, g)
	case shared:
		a.slack = append(a.slack, g)
	default:
		a.pieces = append(a.pieces, g)
	}
}

// unit accounts for a unit: stale where it says so, metadata elsewhere.
func (a *account) unit(u unit) error {
	next := int64(0)
	for _, d := range u.dead {
		a.within(u, span(next, d.Off), sanitize.Metadata)
		a.within(u, d, sanitize.Stale)
		next = d.End()
	}
	length := int64(0)
	for _, e := range u.at {
		length += e.Len
	}
	a.within(u, span(next, length), sanitize.Metadata)
	return nil
}

// within accounts for a part of a unit, wherever its bytes lie.
func (a *account) within(u unit, part disk.Extent, c sanitize.Class) {
	for _, e := range u.at {
		from, to := max(part.Off, 0), min(part.End(), e.Len)
		a.extent(sanitize.Region{Extent: span(e.Off+from, e.Off+to), Class: c, Owner: u.owner}, false)
		part.Off -= e.Len
	}
}

// share settles what several files claim: a byte lives if it does in one of
// them, and it is counted once.
func (a *account) share() {
	live := disjoint(a.live)
	a.pieces = append(a.pieces, live...)
	a.pieces = append(a.pieces, subtract(disjoint(a.slack), live)...)
	a.live, a.slack = nil, nil
}

// disjoint sorts regions and cuts off of each what those before it cover.
func disjoint(regions []sanitize.Region) []sanitize.Region {
	slices.SortStableFunc(regions, func(a, b sanitize.Region) int { return cmp.Compare(a.Off, b.Off) })
	next, kept := int64(0), regions[:0]
	for _, g := range regions {
		g.Extent = span(max(g.Off, next), g.End())
		if g.Len > 0 {
			kept = append(kept, g)
			next = g.End()
		}
	}
	return kept
}

// subtract returns the parts of from that none of what covers. Both ascend and
// are disjoint.
func subtract(from, what []sanitize.Region) []sanitize.Region {
	var left []sanitize.Region
	keep := func(g sanitize.Region, from, to int64) {
		if g.Extent = span(from, to); g.Len > 0 {
			left = append(left, g)
		}
	}
	i := 0
	for _, g := range from {
		for i < len(what) && what[i].End() <= g.Off {
			i++
		}
		next := g.Off
		for k := i; k < len(what) && what[k].Off < g.End(); k++ {
			keep(g, next, what[k].Off)
			next = max(next, what[k].End())
		}
		keep(g, next, g.End())
	}
	return left
}
