package erofs

import (
	"sort"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Span implements [sanitize.Locator]. Compressed bytes have no place of their
// own.
func (c *content) Span(off int64) (sanitize.Span, bool) {
	i := sort.Search(len(c.pieces), func(i int) bool { return c.pieces[i].logical+c.pieces[i].length > off })
	if off < 0 || off >= c.size || i == len(c.pieces) {
		return sanitize.Span{}, false
	}
	x := c.pieces[i]
	s := sanitize.Span{Extent: disk.Extent{Off: x.logical, Len: min(x.length, c.size-x.logical)}, At: -1, Hole: x.how == hole}
	if x.how == stored {
		s.At = x.phys
	}
	return s, true
}
