package sanitize

import (
	"bytes"
	"context"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/imgbuild/imgbuild/disk"
)

// batchSize is how many bytes a worker counts before it asks for more.
const batchSize = 4 << 20

// tally is what counting found in a region, in bytes.
type tally struct {
	region  int
	data    int64 // stored, not a hole
	nonZero int64 // unread is part of it
	unread  int64
	first   int64 // where the first run that is not zero begins
}

// tallies are those of the regions that hold data, ascending; the others are
// left out.
type tallies []tally

// piece is a data run of a region.
type piece struct {
	region int
	disk.Extent
	// unread counts as other than zero altogether, without a look.
	unread bool
}

// of returns the tally of region i. The next call asks for a later region.
func (t *tallies) of(i int) tally {
	if len(*t) == 0 || (*t)[0].region != i {
		return tally{region: i}
	}
	first := (*t)[0]
	*t = (*t)[1:]
	return first
}

// countBatch is a part of the work, and what came of it.
type countBatch struct {
	pieces []piece
	tallies
}

// count reads the data of the regions that want chooses, on all processors. What
// is stored in the extents of unread, which ascend, counts as it is.
func count(ctx context.Context, r disk.Reader, regions []Region, want func(Region) bool, unread []disk.Extent) (tallies, error) {
	work := make(chan *countBatch)
	var batches []*countBatch
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error {
		defer close(work)
		return pieces(r, regions, want, unread, func(p []piece) error {
			b := &countBatch{pieces: p}
			batches = append(batches, b)
			select {
			case work <- b:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	for range runtime.GOMAXPROCS(0) {
		tasks.Go(func() error {
			s := newScanner(r)
			for b := range work {
				found, err := s.tally(ctx, b.pieces)
				if err != nil {
					return err
				}
				b.add(found)
			}
			return nil
		})
	}
	if err := tasks.Wait(); err != nil {
		return nil, err
	}
	var all tallies
	for _, b := range batches {
		for _, t := range b.tallies {
			all.add(t)
		}
	}
	return all, nil
}

// pieces cuts the data of the regions into batches.
func pieces(r disk.Reader, regions []Region, want func(Region) bool, unread []disk.Extent, out func([]piece) error) error {
	s := newScanner(r)
	var batch []piece
	room := int64(batchSize)
	for i, g := range regions {
		if !want(g) {
			continue
		}
		for off := g.Off; off < g.End(); {
			var skip bool
			var end int64
			unread, end, skip = stretch(unread, off, g.End())
			run, err := s.next(off, end)
			if err != nil {
				return err
			}
			if off = end; run.Len == 0 {
				continue
			}
			if !skip {
				run.Len = min(run.Len, room)
				room -= run.Len
			}
			batch, off = append(batch, piece{i, run, skip}), run.End()
			if room == 0 {
				if err := out(batch); err != nil {
					return err
				}
				batch, room = nil, batchSize
			}
		}
	}
	return out(batch)
}

// stretch returns whether off lies in one of the extents, which ascend, and how
// far that is so, up to end. It drops the extents before off.
func stretch(extents []disk.Extent, off, end int64) (rest []disk.Extent, to int64, in bool) {
	for len(extents) > 0 && extents[0].End() <= off {
		extents = extents[1:]
	}
	switch {
	case len(extents) == 0:
		return extents, end, false
	case extents[0].Off > off:
		return extents, min(extents[0].Off, end), false
	}
	return extents, min(extents[0].End(), end), true
}

// nearby is the longest gap between two pieces, in bytes, that is read along:
// shorter ones cost less than a call.
const nearby = 8 << 10

// tally counts the bytes of each piece that are not zero. Small pieces close to
// each other, as in a table of inodes, are read at once.
func (s *scanner) tally(ctx context.Context, batch []piece) ([]int64, error) {
	found := make([]int64, len(batch))
	for i := 0; i < len(batch); {
		if batch[i].unread {
			found[i], i = batch[i].Len, i+1
			continue
		}
		from, end, next := batch[i].Off, batch[i].End(), i+1
		for next < len(batch) && !batch[next].unread && batch[next].Off-end < nearby && batch[next].End()-from <= int64(len(s.buf)) {
			end, next = batch[next].End(), next+1
		}
		if next == i+1 {
			n, err := s.count(ctx, batch[i].Extent)
			if err != nil {
				return nil, err
			}
			found[i], i = n, next
			continue
		}
		p := s.buf[:end-from]
		if err := ReadFull(s.r, p, from); err != nil {
			return nil, err
		}
		for ; i < next; i++ {
			b := p[batch[i].Off-from:][:batch[i].Len]
			found[i] = int64(len(b) - bytes.Count(b, zeroByte))
		}
	}
	return found, ctx.Err()
}

// add sums up what was found in the pieces of a batch.
func (b *countBatch) add(found []int64) {
	for i, p := range b.pieces {
		t := tally{region: p.region, data: p.Len, nonZero: found[i], first: p.Off}
		if p.unread {
			t.unread = p.Len
		}
		b.tallies.add(t)
	}
	b.pieces = nil
}

// add appends a tally of the last region, or of a later one.
func (t *tallies) add(next tally) {
	k := len(*t)
	if k == 0 || (*t)[k-1].region != next.region {
		*t = append(*t, next)
		return
	}
	sum := &(*t)[k-1]
	if sum.nonZero == 0 {
		sum.first = next.first
	}
	sum.nonZero += next.nonZero
	sum.unread += next.unread
	sum.data += next.data
}
