package exfat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// allocation is where the content of an entry is, as its stream extension, or
// the entry itself, says.
type allocation struct {
	first      uint32
	contiguous bool  // NoFatChain: the table says nothing about the clusters
	size       int64 // DataLength, bytes
	valid      int64 // ValidDataLength, bytes; what follows reads as zero
}

// mapped is an allocation whose clusters are known.
type mapped struct {
	allocation
	runs []disk.Extent // of the volume
}

// resolve finds the clusters of a. It adds those of a chain to chained, unless
// nil; a cluster that is there already is an error.
func (v *volume) resolve(ctx context.Context, a allocation, chained numbers) (mapped, error) {
	m := mapped{allocation: a}
	if a.size < 0 || a.valid < 0 || a.valid > a.size {
		return m, fmt.Errorf("%d valid bytes of %d", a.valid, a.size)
	}
	if a.first == 0 {
		if a.size > 0 {
			return m, fmt.Errorf("%d bytes without a cluster", a.size)
		}
		return m, nil
	}
	if !a.contiguous {
		var err error
		if m.runs, err = v.chain(ctx, a.first, chained); err != nil {
			return m, err
		}
	} else if need := (a.size + v.cluster - 1) / v.cluster; !v.valid(a.first) || need > v.clusters-(int64(a.first)-firstCluster) {
		return m, fmt.Errorf("%d clusters from cluster %d of %d", need, a.first, v.clusters)
	} else if need > 0 {
		m.runs = []disk.Extent{{Off: v.at(a.first), Len: need * v.cluster}}
	}
	if m.allocated() < a.size {
		return m, fmt.Errorf("%d bytes in clusters of %d", a.size, m.allocated())
	}
	return m, nil
}

// chain follows the table from cluster first to the end of the chain.
func (v *volume) chain(ctx context.Context, first uint32, chained numbers) ([]disk.Extent, error) {
	if chained == nil {
		chained = numbers{}
	}
	var runs []disk.Extent
	for c, n := first, 0; c != markEnd; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !v.valid(c) {
			return nil, fmt.Errorf("a chain leads to cluster %d of %d", c, v.clusters)
		}
		if !chained.add(c) {
			return nil, fmt.Errorf("cluster %d belongs to two chains", c)
		}
		if k := len(runs) - 1; k >= 0 && runs[k].End() == v.at(c) {
			runs[k].Len += v.cluster
		} else {
			runs = append(runs, disk.Extent{Off: v.at(c), Len: v.cluster})
		}
		next, err := v.fat.next(c)
		if err != nil {
			return nil, err
		}
		c = next
	}
	return runs, nil
}

// allocated returns the bytes in all clusters.
func (m mapped) allocated() (n int64) {
	for _, e := range m.runs {
		n += e.Len
	}
	return n
}

// split cuts the clusters behind the first n bytes.
func (m mapped) split(n int64) (head, tail []disk.Extent) {
	for _, e := range m.runs {
		k := min(n, e.Len)
		if n -= k; k > 0 {
			head = append(head, disk.Extent{Off: e.Off, Len: k})
		}
		if k < e.Len {
			tail = append(tail, disk.Extent{Off: e.Off + k, Len: e.Len - k})
		}
	}
	return head, tail
}

// content reads a file; what is behind its valid data reads as zero.
type content struct {
	r      disk.Reader
	m      mapped
	starts []int64 // where each run begins in the file
}

func newContent(r disk.Reader, m mapped) *content {
	c := &content{r: r, m: m}
	var at int64
	for _, e := range m.runs {
		c.starts = append(c.starts, at)
		at += e.Len
	}
	return c
}

// ReadAt follows io.ReaderAt.
func (c *content) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("reading at a negative offset")
	}
	done := 0
	for done < len(p) && off < c.m.size {
		part := p[done:]
		n := min(int64(len(part)), c.m.size-off)
		if off >= c.m.valid {
			clear(part[:n])
		} else {
			i := sort.Search(len(c.starts), func(i int) bool { return c.starts[i] > off }) - 1
			in := off - c.starts[i]
			n = min(n, c.m.valid-off, c.m.runs[i].Len-in)
			if err := sanitize.ReadFull(c.r, part[:n], c.m.runs[i].Off+in); err != nil {
				return done, err
			}
		}
		done, off = done+int(n), off+n
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}
