package fat

import (
	"sort"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Span implements [sanitize.Locator].
func (c *content) Span(off int64) (sanitize.Span, bool) {
	if off < 0 || off >= c.size {
		return sanitize.Span{}, false
	}
	i := sort.Search(len(c.starts), func(i int) bool { return c.starts[i] > off }) - 1
	n := min(c.runs[i].Len, c.size-c.starts[i])
	return sanitize.Span{Extent: disk.Extent{Off: c.starts[i], Len: n}, At: c.runs[i].Off}, true
}
