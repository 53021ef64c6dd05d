package ntfs

import (
	"context"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
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
	u := &usage{f: f, ctx: ctx, claims: newBits(s), gaps: newBits(s), emit: emit}
	if err := sanitize.Tile(a.pieces, 0, f.clusters*f.cluster, u.claimed, u.unclaimed); err != nil {
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

// usage holds the pieces to the bitmap: what is owned must be allocated, and
// what is not owned is free or unknown.
type usage struct {
	f    *filesystem
	ctx  context.Context
	emit func(sanitize.Region) error
	// Claims and gaps ascend, each for itself.
	claims, gaps *bitmap
}

func (u *usage) claimed(g sanitize.Region) error {
	first, end := g.Off/u.f.cluster, (g.End()+u.f.cluster-1)/u.f.cluster
	used, until, err := u.claims.run(first, end)
	if err != nil {
		return fmt.Errorf("reading the cluster bitmap: %w", err)
	}
	if !used {
		until = first
	}
	if until < end {
		return fmt.Errorf("cluster %d of %s is free in the bitmap", until, g.Owner)
	}
	return u.emit(g)
}

func (u *usage) unclaimed(e disk.Extent) error {
	if e.Off%u.f.cluster != 0 || e.Len%u.f.cluster != 0 {
		return fmt.Errorf("%d bytes at byte %d are a part of a cluster", e.Len, e.Off)
	}
	for c, end := e.Off/u.f.cluster, e.End()/u.f.cluster; c < end; {
		if err := u.ctx.Err(); err != nil {
			return err
		}
		used, until, err := u.gaps.run(c, end)
		if err != nil {
			return fmt.Errorf("reading the cluster bitmap: %w", err)
		}
		g := sanitize.Region{Extent: disk.Extent{Off: c * u.f.cluster, Len: (until - c) * u.f.cluster}, Class: sanitize.Free, Owner: "free clusters"}
		if used {
			g.Class, g.Owner = sanitize.Unknown, "allocated clusters without an owner"
		}
		if err := u.emit(g); err != nil {
			return err
		}
		c = until
	}
	return nil
}
