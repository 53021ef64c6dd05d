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
	nonZero int64
	first   int64 // where the first run that is not zero begins
}

// tallies are those of the regions that hold data, ascending; the others are
// left out.
type tallies []tally

// piece is a data run of a region.
type piece struct {
	region int
	disk.Extent
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

// count reads the data of the regions that want chooses, on all processors.
func count(ctx context.Context, r disk.Reader, regions []Region, want func(Region) bool) (tallies, error) {
	work := make(chan *countBatch)
	var batches []*countBatch
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error {
		defer close(work)
		return pieces(ctx, r, regions, want, func(p []piece) error {
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
func pieces(ctx context.Context, r disk.Reader, regions []Region, want func(Region) bool, out func([]piece) error) error {
	s := newScanner(r)
	var batch []piece
	room := int64(batchSize)
	for i, g := range regions {
		if !want(g) {
			continue
		}
		for off := g.Off; off < g.End(); {
			run, err := s.next(off, g.End())
			if err != nil {
				return err
			}
			if run.Len == 0 {
				break
			}
			run.Len = min(run.Len, room)
			batch, room, off = append(batch, piece{i, run}), room-run.Len, run.End()
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

// nearby is the longest gap between two pieces, in bytes, that is read along:
// shorter ones cost less than a call.
const nearby = 8 << 10

// tally counts the bytes of each piece that are not zero. Small pieces close to
// each other, as in a table of inodes, are read at once.
func (s *scanner) tally(ctx context.Context, batch []piece) ([]int64, error) {
	found := make([]int64, len(batch))
	for i := 0; i < len(batch); {
		from, end, next := batch[i].Off, batch[i].End(), i+1
		for next < len(batch) && batch[next].Off-end < nearby && batch[next].End()-from <= int64(len(s.buf)) {
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
		b.tallies.add(tally{p.region, p.Len, found[i], p.Off})
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
	sum.data += next.data
}
