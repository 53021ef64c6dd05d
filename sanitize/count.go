package sanitize

import (
	"bytes"
	"context"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/imgbuild/imgbuild/disk"
)

// batchSize is how many bytes a worker counts before it asks for more.
const batchSize = 4 << 20

// tally is what counting found in a region, in bytes.
type tally struct {
	data    int64 // stored, not a hole
	nonZero int64
	first   int64 // where the first run that is not zero begins
}

// tallies are those of the regions that hold data; the others are left out.
type tallies map[int]tally

// piece is a data run of a region.
type piece struct {
	region int
	disk.Extent
}

// count reads the data of the regions that want chooses, on all processors.
func count(ctx context.Context, r disk.Reader, regions []Region, want func(Region) bool) (tallies, error) {
	batches := make(chan []piece)
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error {
		defer close(batches)
		return pieces(ctx, r, regions, want, batches)
	})
	all := tallies{}
	var mu sync.Mutex
	for range runtime.GOMAXPROCS(0) {
		tasks.Go(func() error {
			s := newScanner(r)
			for batch := range batches {
				found, err := s.tally(ctx, batch)
				if err != nil {
					return err
				}
				mu.Lock()
				all.add(batch, found)
				mu.Unlock()
			}
			return nil
		})
	}
	return all, tasks.Wait()
}

// pieces cuts the data of the regions into batches.
func pieces(ctx context.Context, r disk.Reader, regions []Region, want func(Region) bool, out chan<- []piece) error {
	s := newScanner(r)
	var batch []piece
	room := int64(batchSize)
	send := func() error {
		select {
		case out <- batch:
			batch, room = nil, batchSize
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
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
				if err := send(); err != nil {
					return err
				}
			}
		}
	}
	return send()
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

func (t tallies) add(batch []piece, found []int64) {
	for i, p := range batch {
		sum := t[p.region]
		if n := found[i]; n > 0 {
			if sum.nonZero == 0 || p.Off < sum.first {
				sum.first = p.Off
			}
			sum.nonZero += n
		}
		sum.data += p.Len
		t[p.region] = sum
	}
}
