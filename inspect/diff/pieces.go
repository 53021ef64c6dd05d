package diff

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// cut calls emit for pieces that cover the data of both disks: ascending,
// disjoint, none across a multiple of [pieceSize]. What neither has is equal.
func cut(ctx context.Context, pair [2]*opened, emit func(disk.Extent) error) error {
	a, b := cursor{r: pair[0]}, cursor{r: pair[1]}
	for off := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		x, err := a.next(off)
		if err != nil {
			return err
		}
		y, err := b.next(off)
		if err != nil {
			return err
		}
		if y.Len > 0 && (x.Len == 0 || y.Off < x.Off) {
			x = y
		}
		if x.Len == 0 {
			return nil
		}
		end := min(x.End(), (x.Off/pieceSize+1)*pieceSize)
		if err := emit(disk.Extent{Off: x.Off, Len: end - x.Off}); err != nil {
			return err
		}
		off = end
	}
}

// cursor asks a disk for its data in ascending order, and remembers the answer:
// to find where a run ends is dear.
type cursor struct {
	r   disk.Reader
	run disk.Extent
	end bool
}

// next returns the first run at or after off; none at the end of the data.
func (c *cursor) next(off int64) (disk.Extent, error) {
	if !c.end && off >= c.run.End() {
		run, err := c.r.NextData(off)
		if c.end = errors.Is(err, io.EOF); err != nil && !c.end {
			return disk.Extent{}, fmt.Errorf("finding data after byte %d: %w", off, err)
		}
		if !c.end && (run.Off < off || run.Len <= 0) {
			return disk.Extent{}, fmt.Errorf("finding data after byte %d: the reader told of %v", off, run)
		}
		c.run = run
	}
	if c.end {
		return disk.Extent{}, nil
	}
	from := max(off, c.run.Off)
	return disk.Extent{Off: from, Len: c.run.End() - from}, nil
}

// pieceDiff is what differs in a piece.
type pieceDiff struct {
	differ  int64
	classes map[[2]sanitize.Class]int64
	owners  map[owner]int64
	runs    []disk.Extent
}

// comparer compares pieces. It is used by one goroutine.
type comparer struct {
	pair [2]*opened
	buf  [2][]byte
}

func newComparer(pair [2]*opened) *comparer {
	return &comparer{pair: pair, buf: [2][]byte{make([]byte, pieceSize), make([]byte, pieceSize)}}
}

// compare returns nil for a piece that is equal.
func (c *comparer) compare(e disk.Extent) (*pieceDiff, error) {
	var p [2][]byte
	for i, d := range c.pair {
		p[i] = c.buf[i][:e.Len]
		n := max(0, min(e.Len, d.Size()-e.Off))
		clear(p[i][n:])
		if err := sanitize.ReadFull(d, p[i][:n], e.Off); err != nil {
			return nil, err
		}
	}
	if bytes.Equal(p[0], p[1]) {
		return nil, nil
	}
	found := &pieceDiff{classes: map[[2]sanitize.Class]int64{}, owners: map[owner]int64{}}
	for from := int64(0); from < e.Len; {
		// Sectors are counted from the beginning of the disk.
		to := min(e.Len, from+disk.SectorSize-(e.Off+from)%disk.SectorSize)
		if a, b := p[0][from:to], p[1][from:to]; !bytes.Equal(a, b) {
			found.addRun(e.Off+from, to-from)
			c.account(found, e.Off+from, a, b)
		}
		from = to
	}
	return found, nil
}

func (p *pieceDiff) addRun(off, n int64) {
	if last := len(p.runs) - 1; last >= 0 && p.runs[last].End() == off {
		p.runs[last].Len += n
		return
	}
	p.runs = append(p.runs, disk.Extent{Off: off, Len: n})
}

// account says whose the bytes are in which a and b, both at off, differ.
func (c *comparer) account(p *pieceDiff, off int64, a, b []byte) {
	for at := int64(0); at < int64(len(a)); {
		end := int64(len(a))
		var regions [2]sanitize.Region
		for i, d := range c.pair {
			g, ok := d.ledger.At(off + at)
			if !ok {
				g = sanitize.Region{Class: sanitize.Gap, Owner: "beyond the end"}
			} else {
				end = min(end, g.End()-off)
			}
			regions[i] = g
		}
		var n int64
		for i := at; i < end; i++ {
			if a[i] != b[i] {
				n++
			}
		}
		if n > 0 {
			whose := regions[1]
			if whose.Class.Dead() && !regions[0].Class.Dead() {
				whose = regions[0]
			}
			p.differ += n
			p.classes[[2]sanitize.Class{regions[0].Class, regions[1].Class}] += n
			p.owners[owner{whose.Class, whose.Owner}] += n
		}
		at = end
	}
}
