package exfat

import (
	"sort"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Span implements [sanitize.Locator].
func (c *content) Span(off int64) (sanitize.Span, bool) {
	if off < 0 || off >= c.m.size {
		return sanitize.Span{}, false
	}
	if off >= c.m.valid {
		return sanitize.Span{Extent: disk.Extent{Off: c.m.valid, Len: c.m.size - c.m.valid}, At: -1, Hole: true}, true
	}
	i := sort.Search(len(c.starts), func(i int) bool { return c.starts[i] > off }) - 1
	n := min(c.m.runs[i].Len, c.m.valid-c.starts[i])
	return sanitize.Span{Extent: disk.Extent{Off: c.starts[i], Len: n}, At: c.m.runs[i].Off}, true
}
