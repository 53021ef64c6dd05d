package sanitize

import (
	"slices"

	"github.com/imgbuild/imgbuild/disk"
)

// defaultUnit is the unit of changes where a filesystem names none, in bytes.
const defaultUnit = 4096

// Unit is a filesystem that says how large its checksummed structures are.
type Unit interface {
	// Unit returns the size in bytes of the largest structure whose checksum
	// must change together with the bytes that it covers, and what the places
	// of such structures in the volume are multiples of: powers of two.
	Unit() (size, align int64)
}

// Closer is a filesystem with a place that says whether it is whole, such as
// the first pages of a log: it is changed after everything else.
type Closer interface {
	// Closing returns these places, relative to the volume.
	Closing() []disk.Extent
}

// zone is a part of the image with units of one size, counted from its start.
type zone struct {
	disk.Extent
	unit int64
	// straddled tells that a structure may lie in two units: its dead end can
	// fill the second, which must change together with the first.
	straddled bool
	closing   []disk.Extent // what is written last
	table     bool          // it belongs to the partition table
}

// zones cut the image: each volume, each run of the table's own bytes, which is
// one unit, and what is between them.
func (p *Plan) zones() []zone {
	var zones []zone
	for _, v := range p.ledger.Volumes {
		z := zone{Extent: v.Extent, unit: defaultUnit}
		if u, ok := v.fs.(Unit); ok {
			size, align := u.Unit()
			z.unit, z.straddled = max(z.unit, size), align < size
		}
		if c, ok := v.fs.(Closer); ok {
			for _, e := range c.Closing() {
				z.closing = append(z.closing, disk.Extent{Off: v.Off + e.Off, Len: e.Len})
			}
		}
		zones = append(zones, z)
	}
	if p.ledger.table != nil {
		for _, e := range p.ledger.table.runs() {
			zones = append(zones, zone{Extent: e, unit: e.Len, table: true})
		}
	}
	slices.SortFunc(zones, func(a, b zone) int { return int(min(max(a.Off-b.Off, -1), 1)) })
	var all []zone
	at := int64(0)
	for _, z := range append(zones, zone{Extent: disk.Extent{Off: p.ledger.Size}}) {
		if z.Off > at {
			all = append(all, zone{Extent: disk.Extent{Off: at, Len: z.Off - at}, unit: defaultUnit})
		}
		if z.Len > 0 {
			all = append(all, z)
		}
		at = z.End()
	}
	return all
}

// inner returns the units that lie in e altogether and can change by
// themselves; the last of a zone may be shorter than the others.
func (z zone) inner(e disk.Extent) (from, to int64) {
	from = z.Off + (e.Off-z.Off+z.unit-1)/z.unit*z.unit
	if z.straddled {
		from += z.unit
	}
	to = z.Off + (e.End()-z.Off)/z.unit*z.unit
	if e.End() == z.End() {
		to = e.End()
	}
	return from, to
}
