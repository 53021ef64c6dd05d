package sanitize

import (
	"io"
	"sort"

	"github.com/imgbuild/imgbuild/disk"
)

// viewGap is the shortest dead run, in bytes, that [cleared] tells as a hole:
// shorter ones are cheaper to read than to skip.
const viewGap = 16 << 10

// cleared is a disk in which dead runs read as zero. It never reads them.
type cleared struct {
	disk.Reader
	dead []disk.Extent // ascending, disjoint, not adjacent
}

// first returns the index of the first dead run that ends behind off.
func (c cleared) first(off int64) int {
	return sort.Search(len(c.dead), func(i int) bool { return c.dead[i].End() > off })
}

// ReadAt implements [io.ReaderAt].
func (c cleared) ReadAt(p []byte, off int64) (int, error) {
	i, end := c.first(off), off+int64(len(p))
	if i < len(c.dead) && c.dead[i].Off <= off && c.dead[i].End() >= end {
		clear(p)
		return len(p), nil
	}
	n, err := c.Reader.ReadAt(p, off)
	c.clear(p[:n], off)
	return n, err
}

// clear zeroes what is dead of p, which holds what the disk has at off.
func (c cleared) clear(p []byte, off int64) {
	end := off + int64(len(p))
	for i := c.first(off); i < len(c.dead) && c.dead[i].Off < end; i++ {
		clear(p[max(c.dead[i].Off, off)-off : min(c.dead[i].End(), end)-off])
	}
}

// NextData implements [disk.Reader].
func (c cleared) NextData(off int64) (disk.Extent, error) {
	for {
		e, err := c.Reader.NextData(off)
		if err != nil {
			return disk.Extent{}, err
		}
		i := c.first(e.Off)
		if i < len(c.dead) && c.dead[i].Off <= e.Off {
			if off = c.dead[i].End(); off >= c.Size() {
				return disk.Extent{}, io.EOF
			}
			continue
		}
		for ; i < len(c.dead) && c.dead[i].Off < e.End(); i++ {
			if c.dead[i].Len >= viewGap {
				e.Len = c.dead[i].Off - e.Off
				break
			}
		}
		return e, nil
	}
}
