package lvm

import (
	"context"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Regions accounts for every byte; see the package comment.
func (p *physical) Regions(ctx context.Context, emit func(sanitize.Region) error) error {
	var pieces []sanitize.Region
	add := func(e disk.Extent, c sanitize.Class, owner string) {
		if e.Len > 0 {
			pieces = append(pieces, sanitize.Region{Extent: e, Class: c, Owner: owner})
		}
	}
	if p.label > 0 {
		add(disk.Extent{Len: sector}, sanitize.BootCode, "boot block")
	}
	add(disk.Extent{Off: p.label, Len: sector}, sanitize.Metadata, "label")
	for _, e := range p.loaders {
		add(e, sanitize.BootCode, "area of the boot loader")
	}
	for _, a := range p.mdas {
		add(disk.Extent{Off: a.Off, Len: mdaHeader}, sanitize.Metadata, "header of the metadata")
		ring, err := p.ring(a)
		if err != nil {
			return err
		}
		pieces = append(pieces, ring...)
	}
	free := p.free(p.extents)
	for _, v := range p.volumes {
		regions, err := v.regions(ctx)
		if err != nil {
			return fmt.Errorf("logical volume %s: %w", v.name, err)
		}
		pieces = append(pieces, regions...)
	}
	if p.text != nil {
		pieces = append(pieces, p.unused(free)...)
	} else {
		end := p.mdas[len(p.mdas)-1].End()
		add(disk.Extent{Off: end, Len: p.r.Size() - end}, sanitize.Free, "extents of no group")
	}
	return sanitize.Tile(pieces, 0, p.r.Size(), emit, sanitize.Fill(sanitize.Gap, "space around the extents", emit))
}

// ring cuts a metadata area into the current text and what is older.
func (p *physical) ring(a disk.Extent) ([]sanitize.Region, error) {
	var pieces []sanitize.Region
	for _, t := range p.texts {
		if t.Off >= a.Off && t.End() <= a.End() {
			pieces = append(pieces, sanitize.Region{Extent: t, Class: sanitize.Metadata, Owner: "metadata"})
		}
	}
	var all []sanitize.Region
	emit := func(g sanitize.Region) error {
		all = append(all, g)
		return nil
	}
	err := sanitize.Tile(pieces, a.Off+mdaHeader, a.End(), emit, sanitize.Fill(sanitize.Stale, "older metadata", emit))
	return all, err
}

// free returns which extents no logical volume has.
func (p *physical) free(n int64) []bool {
	free := make([]bool, n)
	for i := range free {
		free[i] = true
	}
	for _, v := range p.volumes {
		for _, e := range v.runs {
			for i := (e.Off - p.start) / p.extent; p.start+i*p.extent < e.End(); i++ {
				free[i] = false
			}
		}
	}
	return free
}

func (p *physical) unused(free []bool) []sanitize.Region {
	var pieces []sanitize.Region
	for i, is := range free {
		if is {
			e := disk.Extent{Off: p.start + int64(i)*p.extent, Len: p.extent}
			pieces = append(pieces, sanitize.Region{Extent: e, Class: sanitize.Free, Owner: "free extents"})
		}
	}
	return pieces
}

// regions accounts for a logical volume, in bytes of the physical one.
func (v *volume) regions(ctx context.Context) ([]sanitize.Region, error) {
	var pieces []sanitize.Region
	if v.fs == nil {
		why := v.opaque
		if why == "" {
			why = "not recognised"
		}
		for _, e := range v.runs {
			pieces = append(pieces, sanitize.Region{Extent: e, Class: sanitize.Unknown, Owner: "logical volume " + v.name + ", " + why})
		}
		return pieces, nil
	}
	run, at := 0, int64(0) // the run that holds byte next of the volume, and where it begins
	err := v.fs.Regions(ctx, func(g sanitize.Region) error {
		for g.Len > 0 {
			for at+v.runs[run].Len <= g.Off {
				at += v.runs[run].Len
				run++
			}
			in := g.Off - at
			n := min(g.Len, v.runs[run].Len-in)
			pieces = append(pieces, sanitize.Region{Extent: disk.Extent{Off: v.runs[run].Off + in, Len: n}, Class: g.Class, Owner: g.Owner})
			g.Off, g.Len = g.Off+n, g.Len-n
		}
		return nil
	})
	return pieces, err
}
