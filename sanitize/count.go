package sanitize

import (
	"context"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/imgbuild/imgbuild/disk"
)

// A worker counts so many bytes, or so many pieces, before it asks for more.
const (
	batchSize   = 4 << 20
	batchPieces = 4096
)

// tally is what counting found in a region, in bytes.
type tally struct {
	data    int64 // stored, not a hole
	nonZero int64 // unread is part of it
	unread  int64
	first   int64 // where the first run that is not zero begins
}

// piece is a data run of a region.
type piece struct {
	disk.Extent
	region int32
	// unread counts as other than zero altogether, without a look.
	unread bool
	// nonZero is how many of its bytes are other than zero.
	nonZero int64
}

// count reads the data of the regions that want chooses, on all processors, and
// calls each with what was found in those that hold data, ascending. What is
// stored in the extents of unread, which ascend, counts as it is.
func count(ctx context.Context, r disk.Reader, regions []Region, want func(Region) bool, unread []disk.Extent, each func(i int, t tally)) error {
	work := make(chan []piece)
	var batches [][]piece
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error {
		defer close(work)
		return pieces(r, regions, want, unread, func(b []piece) error {
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
				if err := s.tally(ctx, b); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := tasks.Wait(); err != nil {
		return err
	}
	sum(batches, each)
	return nil
}

// sum adds up what was found in the pieces of each region.
func sum(batches [][]piece, each func(i int, t tally)) {
	var t tally
	region := int32(-1)
	for _, b := range batches {
		for _, p := range b {
			if p.region != region {
				if region >= 0 {
					each(int(region), t)
				}
				region, t = p.region, tally{}
			}
			if t.nonZero == 0 {
				t.first = p.Off
			}
			t.data += p.Len
			t.nonZero += p.nonZero
			if p.unread {
				t.unread += p.Len
			}
		}
	}
	if region >= 0 {
		each(int(region), t)
	}
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
			if batch == nil {
				batch = make([]piece, 0, batchPieces)
			}
			batch, off = append(batch, piece{Extent: run, region: int32(i), unread: skip}), run.End()
			if room == 0 || len(batch) == batchPieces {
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
func (s *scanner) tally(ctx context.Context, batch []piece) error {
	for i := 0; i < len(batch); {
		if batch[i].unread {
			batch[i].nonZero = batch[i].Len
			i++
			continue
		}
		from, end, next := batch[i].Off, batch[i].End(), i+1
		for next < len(batch) && !batch[next].unread && batch[next].Off-end < nearby && batch[next].End()-from <= int64(len(s.buf)) {
			end, next = batch[next].End(), next+1
		}
		if next == i+1 {
			n, err := s.count(ctx, batch[i].Extent)
			if err != nil {
				return err
			}
			batch[i].nonZero, i = n, next
			continue
		}
		p := s.buf[:end-from]
		if err := ReadFull(s.r, p, from); err != nil {
			return err
		}
		for ; i < next; i++ {
			batch[i].nonZero = nonZero(p[batch[i].Off-from:][:batch[i].Len])
		}
	}
	return ctx.Err()
}
