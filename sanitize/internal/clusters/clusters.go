// Package clusters holds what owns the clusters of a volume to the bitmap that
// says which are allocated, as NTFS and exFAT have one: what is owned must be
// allocated, and what is not owned is free or unknown.
package clusters

import (
	"context"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Heap is where the clusters of a volume are.
type Heap struct {
	Off     int64 // of the first cluster, in bytes
	Cluster int64 // bytes in a cluster
	Count   int64 // number of clusters
	// Bitmap returns a bitmap with a bit for each cluster. Two are read at
	// the same time.
	Bitmap func() *Bitmap
}

// Tile emits regions that tile the heap: the pieces, which are owned, and what
// the bitmap says of the rest. A piece in a cluster that is free is an error
// that names its owner: such a volume is damaged.
func (h Heap) Tile(ctx context.Context, pieces []sanitize.Region, emit func(sanitize.Region) error) error {
	t := tiler{Heap: h, ctx: ctx, emit: emit, claims: h.Bitmap(), gaps: h.Bitmap()}
	return sanitize.Tile(pieces, h.Off, h.Off+h.Count*h.Cluster, t.claimed, t.unclaimed)
}

type tiler struct {
	Heap
	ctx  context.Context
	emit func(sanitize.Region) error
	// Claims and gaps ascend, each for itself, so each has its page.
	claims, gaps *Bitmap
}

func (t tiler) claimed(g sanitize.Region) error {
	first, end := (g.Off-t.Off)/t.Cluster, (g.End()-t.Off+t.Cluster-1)/t.Cluster
	used, until, err := t.claims.Run(first, end)
	if err != nil {
		return fmt.Errorf("reading the cluster bitmap: %w", err)
	}
	if !used {
		until = first
	}
	if until < end {
		return fmt.Errorf("the cluster at byte %d, of %s, is free in the bitmap", t.Off+until*t.Cluster, g.Owner)
	}
	return t.emit(g)
}

func (t tiler) unclaimed(e disk.Extent) error {
	if (e.Off-t.Off)%t.Cluster != 0 || e.Len%t.Cluster != 0 {
		return fmt.Errorf("nobody owns a part of a cluster, %d bytes at byte %d", e.Len, e.Off)
	}
	for c, end := (e.Off-t.Off)/t.Cluster, (e.End()-t.Off)/t.Cluster; c < end; {
		if err := t.ctx.Err(); err != nil {
			return err
		}
		used, until, err := t.gaps.Run(c, end)
		if err != nil {
			return fmt.Errorf("reading the cluster bitmap: %w", err)
		}
		g := sanitize.Region{Extent: disk.Extent{Off: t.Off + c*t.Cluster, Len: (until - c) * t.Cluster}, Class: sanitize.Free, Owner: "free clusters"}
		if used {
			g.Class, g.Owner = sanitize.Unknown, "allocated clusters without an owner"
		}
		if err := t.emit(g); err != nil {
			return err
		}
		c = until
	}
	return nil
}
