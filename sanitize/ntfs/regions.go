package ntfs

import (
	"context"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/internal/clusters"
)

// Regions accounts for every byte; see the package comment.
func (f *filesystem) Regions(ctx context.Context, emit func(sanitize.Region) error) error {
	a := &account{f: f, ctx: ctx, done: newNumbers(f.records())}
	if err := a.tree(); err != nil {
		return err
	}
	if err := a.rest(); err != nil {
		return err
	}
	n, err := f.file(fileBitmap)
	if err != nil {
		return err
	}
	s := n.stream(attrData, "")
	if s == nil || !s.resident() && !f.isPlain(s) || s.limit() < (f.clusters+7)/8 {
		return fmt.Errorf("the bitmap does not hold %d clusters", f.clusters)
	}
	heap := clusters.Heap{Cluster: f.cluster, Count: f.clusters, Bitmap: s.bitmap}
	if err := heap.Tile(ctx, a.pieces, emit); err != nil {
		return err
	}
	return f.behind(emit)
}

// behind accounts for what follows the last cluster.
func (f *filesystem) behind(emit func(sanitize.Region) error) error {
	if last := f.clusters * f.cluster; last < f.end {
		g := sanitize.Region{Extent: disk.Extent{Off: last, Len: f.end - last}, Class: sanitize.Gap, Owner: "sectors behind the last cluster"}
		if err := emit(g); err != nil {
			return err
		}
	}
	e, ok, err := f.backup(f.r)
	if err != nil {
		return err
	}
	if !ok {
		return sanitize.Tail(f.r, f.end, emit)
	}
	if err := emit(sanitize.Region{Extent: e, Class: sanitize.BootCode, Owner: "backup of the boot sector"}); err != nil {
		return err
	}
	return sanitize.Tail(f.r, e.End(), emit)
}
