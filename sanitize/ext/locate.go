package ext

import (
	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Span implements [sanitize.Locator].
func (c content) Span(off int64) (sanitize.Span, bool) {
	if off < 0 || off >= c.size {
		return sanitize.Span{}, false
	}
	i := c.m.search(off / c.block)
	s := sanitize.Span{At: -1, Hole: true}
	from, to := int64(0), c.size
	if i > 0 {
		from = (c.m.runs[i-1].logical + c.m.runs[i-1].count) * c.block
	}
	if i < len(c.m.runs) {
		if r := c.m.runs[i]; off < r.logical*c.block {
			to = r.logical * c.block
		} else {
			from, to = r.logical*c.block, (r.logical+r.count)*c.block
			if s.Hole = r.unwritten; !s.Hole {
				s.At = r.phys * c.block
			}
		}
	}
	s.Extent = disk.Extent{Off: from, Len: min(to, c.size) - from}
	return s, true
}
