package exfat

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/internal/clusters"
)

// Regions accounts for every byte; see the package comment.
func (v *volume) Regions(ctx context.Context, emit func(sanitize.Region) error) error {
	var pieces []sanitize.Region
	t := &tree{volume: v, chained: numbers{}, piece: func(g sanitize.Region) { pieces = append(pieces, g) }}
	if err := t.walk(ctx); err != nil {
		return err
	}
	if err := v.front(ctx, t.chained, emit); err != nil {
		return err
	}
	m, err := v.resolve(ctx, v.bitmap, nil)
	if err != nil {
		return fmt.Errorf("reading the allocation bitmap: %w", err)
	}
	heap := clusters.Heap{Off: v.heap, Cluster: v.cluster, Count: v.clusters, Bitmap: func() *clusters.Bitmap {
		return clusters.NewBitmap(newContent(v.r, m), m.size)
	}}
	if err := heap.Tile(ctx, pieces, emit); err != nil {
		return err
	}
	if last := v.heap + v.clusters*v.cluster; last < v.end {
		g := sanitize.Region{Extent: disk.Extent{Off: last, Len: v.end - last}, Class: sanitize.Gap, Owner: "sectors behind the last cluster"}
		if err := emit(g); err != nil {
			return err
		}
	}
	return sanitize.Tail(v.r, v.end, emit)
}

// front accounts for what is ahead of the clusters.
func (v *volume) front(ctx context.Context, chained numbers, emit func(sanitize.Region) error) error {
	var pieces []sanitize.Region
	for n, owner := range [bootRegions]string{"boot region", "backup of the boot region"} {
		at, seal := int64(n)*regionSectors*v.sector, sectorReserved*v.sector
		pieces = append(pieces,
			sanitize.Region{Extent: disk.Extent{Off: at, Len: seal}, Class: sanitize.BootCode, Owner: owner},
			// Reseal changes these.
			sanitize.Region{Extent: disk.Extent{Off: at + seal, Len: regionSectors*v.sector - seal}, Class: sanitize.Metadata, Owner: owner})
	}
	next := v.table
	add := func(end int64, c sanitize.Class) {
		if next < end {
			pieces = append(pieces, sanitize.Region{Extent: disk.Extent{Off: next, Len: end - next}, Class: c, Owner: "allocation table"})
			next = end
		}
	}
	err := v.staleEntries(ctx, chained, func(c uint32) {
		at := v.table + int64(c)*entrySize
		add(at, sanitize.Metadata)
		add(at+entrySize, sanitize.Stale)
	})
	if err != nil {
		return fmt.Errorf("reading the allocation table: %w", err)
	}
	add(v.table+(v.clusters+firstCluster)*entrySize, sanitize.Metadata)
	add(v.table+v.tableLen, sanitize.Stale)
	return sanitize.Tile(pieces, 0, v.heap, emit, sanitize.Fill(sanitize.Gap, "space around the allocation table", emit))
}

// staleEntries calls do with the clusters, ascending, whose entries in the
// table are not zero and chain nothing: those of clusters that are free, or
// that belong to a contiguous file. The mark of a bad cluster counts.
func (v *volume) staleEntries(ctx context.Context, chained numbers, do func(c uint32)) error {
	b := make([]byte, tablePage)
	used := (v.clusters + firstCluster) * entrySize
	for off := int64(firstCluster * entrySize); off < used; {
		if err := ctx.Err(); err != nil {
			return err
		}
		run, err := v.fat.r.NextData(off)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		off = max(off, run.Off/entrySize*entrySize)
		part := b[:max(0, min(tablePage, used-off))]
		if err := sanitize.ReadFull(v.fat.r, part, off); err != nil {
			return err
		}
		for i := 0; i < len(part); i += entrySize {
			c := uint32((off + int64(i)) / entrySize)
			if e := binary.LittleEndian.Uint32(part[i:]); e != 0 && e != markBad && !chained.has(c) {
				do(c)
			}
		}
		off += int64(len(part))
	}
	return nil
}
