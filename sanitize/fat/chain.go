package fat

import (
	"context"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
)

// marks is a set of clusters, one bit each: it finds loops and clusters with
// two owners.
type marks []uint64

func (v *volume) newMarks() marks { return make(marks, (v.clusters+2+63)/64) }

// add reports whether c was not in the set before.
func (m marks) add(c uint32) bool {
	bit := uint64(1) << (c % 64)
	fresh := m[c/64]&bit == 0
	m[c/64] |= bit
	return fresh
}

// chain follows the clusters from first to the end mark and returns them as
// extents of the volume. It adds them to seen; a cluster that is there already
// is an error.
func (v *volume) chain(ctx context.Context, first uint32, seen marks) ([]disk.Extent, error) {
	var runs []disk.Extent
	for c, n := first, 0; c < markEnd; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !v.valid(c) {
			return nil, fmt.Errorf("a chain leads to cluster %d of %d", c, v.clusters)
		}
		if !seen.add(c) {
			return nil, fmt.Errorf("cluster %d belongs to two chains", c)
		}
		at := v.clusterAt(c)
		if last := len(runs) - 1; last >= 0 && runs[last].End() == at {
			runs[last].Len += v.cluster
		} else {
			runs = append(runs, disk.Extent{Off: at, Len: v.cluster})
		}
		next, err := v.fat.entry(c)
		if err != nil {
			return nil, err
		}
		c = next
	}
	return runs, nil
}

// split cuts runs behind the first n bytes.
func split(runs []disk.Extent, n int64) (head, tail []disk.Extent, whole bool) {
	for i, e := range runs {
		if e.Len < n {
			n -= e.Len
			continue
		}
		head = append(head, runs[:i]...)
		if n > 0 {
			head = append(head, disk.Extent{Off: e.Off, Len: n})
		}
		if n < e.Len {
			tail = append(tail, disk.Extent{Off: e.Off + n, Len: e.Len - n})
		}
		return head, append(tail, runs[i+1:]...), true
	}
	return runs, nil, n == 0
}
