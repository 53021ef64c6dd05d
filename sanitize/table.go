package sanitize

import (
	"errors"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/part"
)

// table is a partition table as the ledger sees it.
type table struct {
	*part.Table
	items []item // ascending; they cover the image
}

// item is a region of the image, or a volume in its place.
type item struct {
	Region
	volume *Volume
}

// bootCodeKind is the name by which [part.Table.Parts] calls the code area of
// the first sector.
const bootCodeKind = "boot code"

// readTable reads the partition table of r. It returns nil when there is none.
func readTable(r disk.Reader) (*table, error) {
	p, err := part.Parse(r)
	if errors.Is(err, part.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	t := &table{Table: p}
	var pieces []Region
	for _, e := range p.Parts() {
		class := Stale
		switch {
		case e.Kind == bootCodeKind:
			class = BootCode
		case e.Used:
			class = Metadata
		}
		pieces = append(pieces, Region{e.Extent, class, e.Kind})
	}
	volumes := map[int64]*Volume{}
	for _, e := range p.Entries {
		if e.Type == part.TypeBIOSBoot {
			pieces = append(pieces, Region{e.Extent, BootCode, "BIOS boot partition"})
			continue
		}
		pieces = append(pieces, Region{Extent: e.Extent, Owner: "partition"})
		volumes[e.Off] = &Volume{Extent: e.Extent, Label: e.Name}
	}
	core, err := grubCore(r, p)
	if err != nil {
		return nil, err
	}
	for _, e := range uncovered(core, pieces) {
		pieces = append(pieces, Region{e, BootCode, "GRUB core image"})
	}
	emit := func(g Region) error {
		it := item{Region: g}
		if g.Class == Unknown { // only partitions are, here
			it.volume = volumes[g.Off]
		}
		t.items = append(t.items, it)
		return nil
	}
	return t, Tile(pieces, 0, r.Size(), emit, Fill(Gap, "space between partitions", emit))
}

// runs returns what the table itself occupies, neighbours as one: a header and
// the entries that its checksum covers lie side by side.
func (t *table) runs() []disk.Extent {
	var runs []disk.Extent
	for _, e := range t.Parts() {
		if k := len(runs); k > 0 && runs[k-1].End() == e.Off {
			runs[k-1].Len += e.Len
			continue
		}
		runs = append(runs, e.Extent)
	}
	return runs
}

// uncovered returns the extents that overlap none of the pieces: a loader that
// points into the table or a partition owns nothing there.
func uncovered(extents []disk.Extent, pieces []Region) []disk.Extent {
	var free []disk.Extent
	for _, e := range extents {
		hit := false
		for _, p := range pieces {
			hit = hit || e.Off < p.End() && p.Off < e.End()
		}
		if !hit {
			free = append(free, e)
		}
	}
	return free
}
