package audit

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// mapCells is the number of cells of a map.
const mapCells = 1024

// Map draws a part of the disk to scale: the whole, or a volume.
type Map struct {
	Title  string `json:"title"`
	Offset int64  `json:"offset"`
	Length int64  `json:"length"`
	// Unit is how many bytes a cell stands for; the last may be less.
	Unit  int64  `json:"unit"`
	Cells []Cell `json:"cells"`
}

// Cell is an equal part of a map.
type Cell struct {
	// Classes are the bytes of each class, in their order.
	Classes [sanitize.Gap + 1]int64
	// Residue is how many bytes nobody owns and are not zero.
	Residue int64
}

// MarshalJSON writes a cell as one list: the classes, then the residue.
func (c Cell) MarshalJSON() ([]byte, error) {
	return json.Marshal(append(c.Classes[:], c.Residue))
}

// UnmarshalJSON reads what MarshalJSON writes.
func (c *Cell) UnmarshalJSON(b []byte) error {
	var list [sanitize.Gap + 2]int64
	err := json.Unmarshal(b, &list)
	copy(c.Classes[:], list[:])
	c.Residue = list[sanitize.Gap+1]
	return err
}

// newMap makes a map whose cells are empty.
func newMap(title string, e disk.Extent) *Map {
	// Cells end where blocks do.
	unit := (e.Len + mapCells - 1) / mapCells
	unit = max((unit+block-1)/block*block, block)
	n := (e.Len + unit - 1) / unit
	return &Map{Title: title, Offset: e.Off, Length: e.Len, Unit: unit, Cells: make([]Cell, n)}
}

// each calls fn for the cells that e touches, with how much of it is there.
func (m *Map) each(e disk.Extent, fn func(c *Cell, n int64)) {
	from, to := max(e.Off, m.Offset)-m.Offset, min(e.End(), m.Offset+m.Length)-m.Offset
	for from < to {
		end := min((from/m.Unit+1)*m.Unit, to)
		fn(&m.Cells[from/m.Unit], end-from)
		from = end
	}
}

// drawMaps makes the maps of the disk and of its volumes.
func (a *auditor) drawMaps() {
	a.maps = []*Map{newMap("disk", disk.Extent{Len: a.ledger.size})}
	for _, v := range a.ledger.volumes {
		if v.Len < a.ledger.size {
			a.maps = append(a.maps, newMap(strings.TrimSpace(v.Type+" "+clean(v.Label)), v.Extent))
		}
	}
	for g := range a.ledger.regions {
		for _, m := range a.maps {
			m.each(g.Extent, func(c *Cell, n int64) { c.Classes[g.Class] += n })
		}
	}
}

// drawResidue notes bytes that nobody owns and that are not zero.
func (a *auditor) drawResidue(spans []disk.Extent) {
	for _, e := range spans {
		for _, m := range a.maps {
			m.each(e, func(c *Cell, n int64) { c.Residue += n })
		}
	}
}

// Owner is how much one owner holds.
type Owner struct {
	Path  string         `json:"path"`
	Class sanitize.Class `json:"class"`
	Bytes int64          `json:"bytes"`
}

// Bounds on what is told of owners.
const (
	maxOwners   = 300
	ownerDepth  = 3      // folders of a path that are told apart
	maxPrefixes = 50_000 // owners that are added up
)

// owners adds up the regions by the folders of their owners; the smallest
// become one.
func owners(c *account) []Owner {
	type key struct {
		path  string
		class sanitize.Class
	}
	held := make([]int64, len(c.list))
	for i, h := range c.holders {
		held[h] += c.region(i).Len
	}
	sums := map[key]int64{}
	for i, h := range c.list {
		k := key{h.prefix(), h.class}
		if _, ok := sums[k]; !ok && len(sums) >= maxPrefixes {
			k.path = "others"
		}
		sums[k] += held[i]
	}
	list := make([]Owner, 0, len(sums))
	for k, n := range sums {
		list = append(list, Owner{clean(k.path), k.class, n})
	}
	slices.SortFunc(list, func(a, b Owner) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Class, b.Class))
	})
	if len(list) > maxOwners {
		rest := map[sanitize.Class]int64{}
		for _, o := range list[maxOwners:] {
			rest[o.Class] += o.Bytes
		}
		list = list[:maxOwners]
		for c := sanitize.Unknown; c <= sanitize.Gap; c++ {
			if rest[c] > 0 {
				list = append(list, Owner{"others", c, rest[c]})
			}
		}
	}
	return list
}

// prefix is the path of a file up to a folder, or what a structure is called.
func (h holder) prefix() string {
	if h.class != sanitize.Live && h.class != sanitize.Slack {
		name, _, _ := strings.Cut(h.owner, " /")
		return strings.TrimRight(name, "0123456789")
	}
	parts := strings.SplitN(h.owner, "/", ownerDepth+2)
	return strings.Join(parts[:min(len(parts), ownerDepth+1)], "/")
}
