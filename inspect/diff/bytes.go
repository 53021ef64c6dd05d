package diff

import (
	"cmp"
	"context"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/inspect"
	"github.com/imgbuild/imgbuild/sanitize"
)

// ByteDiff is in which bytes two disks differ, at equal offsets. What lies
// beyond the end of the shorter one counts as zero there.
type ByteDiff struct {
	// Differ is the number of bytes, Extents that of the runs of sectors in
	// which they lie.
	Differ  int64 `json:"differ"`
	Extents int64 `json:"extents"`
	// Classes tell what the bytes were and what they became.
	Classes []ClassChange `json:"classes,omitempty"`
	// Owners are whose the bytes are, the most first.
	Owners []OwnerBytes `json:"owners,omitempty"`
	// List are the extents, ascending.
	List []Extent `json:"list,omitempty"`
	// UnlistedOwners and UnlistedExtents are how many the lists left out.
	UnlistedOwners  int64 `json:"unlistedOwners,omitempty"`
	UnlistedExtents int64 `json:"unlistedExtents,omitempty"`
}

// ClassChange is how many of the differing bytes are of one class in the first
// image and of one in the second.
type ClassChange struct {
	A     sanitize.Class `json:"a"`
	B     sanitize.Class `json:"b"`
	Bytes int64          `json:"bytes"`
}

// OwnerBytes is how many of the differing bytes belong to an owner: that of the
// second image, unless only the first one's is alive.
type OwnerBytes struct {
	Class sanitize.Class `json:"class"`
	Owner string         `json:"owner"`
	Bytes int64          `json:"bytes"`
}

// Extent is a run of sectors that differ.
type Extent struct {
	Off int64 `json:"offset"`
	Len int64 `json:"length"`
}

// bytesFound is a ByteDiff with what others ask of it.
type bytesFound struct {
	ByteDiff
	limit   int
	classes map[[2]sanitize.Class]int64
	owners  map[owner]int64
	last    disk.Extent // that was found, which may grow
	// volumes are those of the second image, with whether bytes in them differ.
	volumes map[disk.Extent]bool
}

type owner struct {
	class sanitize.Class
	name  string
}

const (
	// pieceSize is what is compared at a time, in bytes; piecesAhead is how
	// many pieces are on their way.
	pieceSize   = 1 << 20
	piecesAhead = 16
)

// piece is a run of the disks that may differ, on its way through a worker.
type piece struct {
	disk.Extent
	found *pieceDiff
	done  chan struct{}
}

// compareBytes compares two disks on all processors.
func (c *comparison) compareBytes(ctx context.Context, pair [2]*opened) (*bytesFound, error) {
	all := &bytesFound{limit: c.Limit, classes: map[[2]sanitize.Class]int64{}, owners: map[owner]int64{}, volumes: map[disk.Extent]bool{}}
	for _, v := range pair[1].volumes {
		all.volumes[disk.Extent{Off: v.Offset, Len: v.Size}] = false
	}
	tasks, ctx := errgroup.WithContext(ctx)
	queue, work := make(chan *piece, piecesAhead), make(chan *piece, piecesAhead)
	tasks.Go(func() error {
		defer close(queue)
		defer close(work)
		return cut(ctx, pair, func(e disk.Extent) error {
			p := &piece{Extent: e, done: make(chan struct{})}
			for _, to := range []chan *piece{work, queue} {
				select {
				case to <- p:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	})
	for range runtime.GOMAXPROCS(0) {
		tasks.Go(func() error {
			w := newComparer(pair)
			for p := range work {
				var err error
				if p.found, err = w.compare(p.Extent); err != nil {
					return err
				}
				close(p.done)
			}
			return nil
		})
	}
	tasks.Go(func() error {
		for p := range queue {
			select {
			case <-p.done:
				all.add(p.found)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	if err := tasks.Wait(); err != nil {
		return nil, err
	}
	all.finish(c.Stat)
	return all, nil
}

// add takes over what was found in a piece; pieces come in ascending order.
func (f *bytesFound) add(p *pieceDiff) {
	if p == nil {
		return
	}
	f.Differ += p.differ
	for key, n := range p.classes {
		f.classes[key] += n
	}
	for key, n := range p.owners {
		f.owners[key] += n
	}
	for _, run := range p.runs {
		if f.Extents > 0 && f.last.End() == run.Off {
			f.last.Len += run.Len
			if len(f.List) > 0 && f.UnlistedExtents == 0 {
				f.List[len(f.List)-1].Len += run.Len
			}
		} else {
			f.Extents++
			f.last = run
			if len(f.List) < f.limit {
				f.List = append(f.List, Extent{run.Off, run.Len})
			} else {
				f.UnlistedExtents++
			}
		}
		f.touch(run)
	}
}

// touch notes which volumes an extent lies in.
func (f *bytesFound) touch(e disk.Extent) {
	for v := range f.volumes {
		if e.Off < v.End() && e.End() > v.Off {
			f.volumes[v] = true
		}
	}
}

// equal reports whether two volumes lie at the same place and hold the same
// bytes.
func (f *bytesFound) equal(a, b inspect.Volume) bool {
	differs, known := f.volumes[disk.Extent{Off: b.Offset, Len: b.Size}]
	return a.Offset == b.Offset && a.Size == b.Size && known && !differs
}

// finish turns the sums into lists.
func (f *bytesFound) finish(stat bool) {
	for key, n := range f.classes {
		f.Classes = append(f.Classes, ClassChange{key[0], key[1], n})
	}
	slices.SortFunc(f.Classes, func(a, b ClassChange) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.A, b.A), cmp.Compare(a.B, b.B))
	})
	for key, n := range f.owners {
		f.Owners = append(f.Owners, OwnerBytes{key.class, key.name, n})
	}
	slices.SortFunc(f.Owners, func(a, b OwnerBytes) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Owner, b.Owner))
	})
	if stat {
		f.Owners, f.List, f.UnlistedExtents = nil, nil, 0
	}
	if len(f.Owners) > f.limit {
		f.UnlistedOwners = int64(len(f.Owners) - f.limit)
		f.Owners = slices.Clip(f.Owners[:f.limit])
	}
}
