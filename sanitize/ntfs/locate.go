package ntfs

import (
	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Span implements [sanitize.Locator]. A resident value is stored, and not as it
// reads: the fixups of its record may be in it.
func (c *content) Span(off int64) (sanitize.Span, bool) {
	span := func(from, to, at int64, hole bool) (sanitize.Span, bool) {
		return sanitize.Span{Extent: disk.Extent{Off: from, Len: to - from}, At: at, Hole: hole}, true
	}
	switch {
	case off < 0 || off >= c.size:
		return sanitize.Span{}, false
	case off >= c.init:
		return span(c.init, c.size, hole, true)
	case c.resident():
		return span(0, c.limit(), hole, false)
	}
	i := search(c.runs, off/c.cluster)
	if i == len(c.runs) {
		return sanitize.Span{}, false
	}
	r := c.runs[i]
	from, to := r.vcn*c.cluster, min(r.end()*c.cluster, c.limit())
	if c.unit > 0 {
		size := c.unit * c.cluster
		unit := off / size
		used, packed := c.unitClusters(unit)
		if packed && used > 0 {
			return span(unit*size, min((unit+1)*size, c.limit()), hole, false)
		}
		// A run may begin or end in a unit that is compressed. A hole may
		// have terabytes.
		from = max(from, unit*size)
		if r.lcn == hole {
			to = min(to, max(to/size, unit+1)*size)
		} else {
			to = min(to, (unit+1)*size)
		}
	}
	if r.lcn == hole {
		return span(from, to, hole, true)
	}
	return span(from, to, (r.lcn-r.vcn)*c.cluster+from, false)
}
