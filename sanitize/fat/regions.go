package fat

import (
	"context"
	"errors"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Regions accounts for every byte; see the package comment.
func (v *volume) Regions(ctx context.Context, emit func(sanitize.Region) error) error {
	if err := v.front(emit); err != nil {
		return err
	}
	var pieces []sanitize.Region
	seen := v.newMarks()
	err := v.tree(ctx, seen, func(g sanitize.Region) { pieces = append(pieces, g) }, nil)
	if err != nil {
		return err
	}
	clustersEnd := v.clusterAt(uint32(v.clusters) + 2)
	rest := func(e disk.Extent) error { return v.unowned(ctx, e, seen, emit) }
	if err := sanitize.Tile(pieces, v.root, clustersEnd, emit, rest); err != nil {
		return err
	}
	if clustersEnd < v.end {
		g := sanitize.Region{Extent: disk.Extent{Off: clustersEnd, Len: v.end - clustersEnd}, Class: sanitize.Gap, Owner: "sectors behind the last cluster"}
		if err := emit(g); err != nil {
			return err
		}
	}
	return sanitize.Tail(v.r, v.end, emit)
}

// front emits the reserved sectors and the tables.
func (v *volume) front(emit func(sanitize.Region) error) error {
	var pieces []sanitize.Region
	add := func(off, n int64, c sanitize.Class, owner string) {
		pieces = append(pieces, sanitize.Region{Extent: disk.Extent{Off: off, Len: n}, Class: c, Owner: owner})
	}
	if v.info > 0 {
		add(v.info*v.sector, v.sector, sanitize.Metadata, "FSInfo")
	}
	used := v.fat.bytesFor(v.clusters + 2)
	for n := range v.copies {
		at, owner := v.tables+n*v.tableLen, fmt.Sprintf("allocation table %d", n+1)
		add(at, used, sanitize.Metadata, owner)
		add(at+used, v.tableLen-used, sanitize.Stale, owner)
	}
	return sanitize.Tile(pieces, 0, v.root, emit, sanitize.Fill(sanitize.BootCode, "reserved sectors", emit))
}

// unowned emits what no directory leads to: clusters that are free, bad, or
// in a chain that was lost.
func (v *volume) unowned(ctx context.Context, e disk.Extent, seen marks, emit func(sanitize.Region) error) error {
	if e.Off < v.data {
		return errors.New("the root directory does not fill its place")
	}
	var run sanitize.Region
	for off := e.Off; off < e.End(); off += v.cluster {
		c := uint32((off-v.data)/v.cluster) + 2
		if c%65536 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		mark, err := v.fat.entry(c)
		if err != nil {
			return err
		}
		class, owner := sanitize.Unknown, "lost cluster chain"
		switch mark {
		case 0:
			class, owner = sanitize.Free, "free clusters"
		case markBad:
			owner = "bad cluster"
		}
		if run.Len > 0 && run.Class == class && run.Owner == owner {
			run.Len += v.cluster
			continue
		}
		if run.Len > 0 {
			if err := emit(run); err != nil {
				return err
			}
		}
		run = sanitize.Region{Extent: disk.Extent{Off: off, Len: v.cluster}, Class: class, Owner: owner}
	}
	return emit(run)
}
