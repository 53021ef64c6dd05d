package audit

import (
	"slices"
	"sort"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// account is the ledger as an audit keeps it: a million regions of a few bytes
// each take a third of the memory, and hold nothing for the garbage collector
// to follow.
type account struct {
	size    int64
	volumes []sanitize.Volume
	starts  []int64  // of the regions, ascending
	holders []uint32 // index of each region's holder
	list    []holder
}

// holder is whose the bytes of some regions are.
type holder struct {
	class sanitize.Class
	owner string
}

// recentHolders is how many holders a new region is compared with: those of
// one file, or of a table, take turns.
const recentHolders = 4

func newAccount(l *sanitize.Ledger) *account {
	c := &account{
		size: l.Size, volumes: l.Volumes,
		starts: make([]int64, 0, len(l.Regions)), holders: make([]uint32, 0, len(l.Regions)),
	}
	for _, g := range l.Regions {
		h := holder{g.Class, g.Owner}
		base := max(len(c.list)-recentHolders, 0)
		i := slices.Index(c.list[base:], h)
		if i < 0 {
			i = len(c.list) - base
			c.list = append(c.list, h)
		}
		c.starts = append(c.starts, g.Off)
		c.holders = append(c.holders, uint32(base+i))
	}
	return c
}

// region returns the region of an index.
func (c *account) region(i int) sanitize.Region {
	h, end := &c.list[c.holders[i]], c.size
	if i+1 < len(c.starts) {
		end = c.starts[i+1]
	}
	return sanitize.Region{Extent: disk.Extent{Off: c.starts[i], Len: end - c.starts[i]}, Class: h.class, Owner: h.owner}
}

// at returns the index of the region that holds the byte at off; -1 beyond the
// image.
func (c *account) at(off int64) int {
	if off < 0 || off >= c.size {
		return -1
	}
	return sort.Search(len(c.starts), func(i int) bool { return c.starts[i] > off }) - 1
}

// regions yields all regions, ascending.
func (c *account) regions(yield func(sanitize.Region) bool) {
	for i := range c.starts {
		if !yield(c.region(i)) {
			return
		}
	}
}
