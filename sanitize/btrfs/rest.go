package btrfs

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// inodeSize is the size of a file by the inode item in the same leaf. Trees that
// share the leaf share both.
type inodeSize struct {
	num  uint64
	size int64
}

// longFile is an entry of a file whose inode item is in another leaf. Trees may
// share the one leaf and not the other.
type longFile struct {
	num   uint64
	from  int64 // in the file
	shown int   // index
}

// inode notes the size of a file, BTRFS section "Inode items".
func (c *census) inode(it item) (inodeSize, error) {
	if len(it.data) < inodeItem {
		return inodeSize{}, fmt.Errorf("inode %d is cut off", it.object)
	}
	size := int64(binary.LittleEndian.Uint64(it.data[16:]))
	if size < 0 {
		size = math.MaxInt64
	}
	c.sizes[it.object] = max(c.sizes[it.object], size)
	return inodeSize{it.object, size}, nil
}

// cut takes what lies behind the end of the file from what was noted last.
func (c *census) cut(it item, last inodeSize) {
	from, i := int64(it.offset), len(c.shown)-1
	switch {
	case from < 0:
	case last.num == it.object && last.num != 0:
		c.cutAt(i, last.size-from)
	default:
		c.long = append(c.long, longFile{it.object, from, i})
	}
}

func (c *census) cutAt(i int, n int64) { c.shown[i].Len = max(min(c.shown[i].Len, n), 0) }

// cutLong does the same when all inodes are known. Files of several subvolumes
// may have one number: then the largest counts.
func (c *census) cutLong() {
	for _, l := range c.long {
		if size, ok := c.sizes[l.num]; ok {
			c.cutAt(l.shown, size-l.from)
		}
	}
	c.long = nil
}

// settle looks at the sectors that files show in part. One whose checksum holds
// neither now nor without the rest stays as it is; one that has a checksum and
// a rest is noted in rests.
func (c *census) settle(ctx context.Context) error {
	dead := c.unshown()
	partial := c.f.partial(dead)
	if len(partial) == 0 || c.sums == (root{}) {
		return nil
	}
	var damaged []disk.Extent
	err := (&scanner{f: c.f}).scan(ctx, c.sums, key{}, lastKey, func(it item) error {
		if it.kind != kindSum {
			return nil
		}
		return c.f.eachSum(it, partial, func(at, logical int64) error {
			sound, err := c.rest(logical, it.data[at:at+c.f.sums.size], dead)
			if !sound {
				damaged = append(damaged, disk.Extent{Off: logical, Len: c.f.sector})
			}
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("reading the checksum tree: %w", err)
	}
	if len(damaged) > 0 {
		c.shown = append(c.shown, damaged...)
		slices.SortFunc(c.shown, byOffset)
	}
	return nil
}

func byOffset(a, b disk.Extent) int { return cmp.Compare(a.Off, b.Off) }

// partial returns the sectors that hold an end of a dead extent, ascending.
func (f *filesystem) partial(dead []disk.Extent) []disk.Extent {
	var sectors []disk.Extent
	for _, e := range dead {
		for _, at := range []int64{e.Off, e.End()} {
			s := disk.Extent{Off: at / f.sector * f.sector, Len: f.sector}
			if k := len(sectors); at != s.Off && (k == 0 || sectors[k-1] != s) {
				sectors = append(sectors, s)
			}
		}
	}
	return sectors
}

// rest compares the sector at a logical address, in which there are dead bytes,
// with its checksum.
func (c *census) rest(logical int64, sum []byte, dead []disk.Extent) (sound bool, err error) {
	at, err := c.f.places(logical, c.f.sector)
	if err != nil {
		return false, err
	}
	now := make([]byte, c.f.sector)
	if err := sanitize.ReadFull(c.f.r, now, at[0]); err != nil {
		return false, err
	}
	then := bytes.Clone(now)
	i := sort.Search(len(dead), func(i int) bool { return dead[i].End() > logical })
	for ; i < len(dead) && dead[i].Off < logical+c.f.sector; i++ {
		clear(then[max(dead[i].Off-logical, 0):min(dead[i].End()-logical, c.f.sector)])
	}
	if !bytes.HasPrefix(c.f.sums.of(now), sum) && !bytes.HasPrefix(c.f.sums.of(then), sum) {
		return false, nil
	}
	if !bytes.Equal(now, then) {
		for _, off := range at {
			c.rests = append(c.rests, disk.Extent{Off: off, Len: c.f.sector})
		}
	}
	return true, nil
}
