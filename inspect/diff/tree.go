package diff

import (
	"context"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/imgbuild/imgbuild/sanitize"
)

const (
	// batchFiles is how many files, or pairs of them, go on together;
	// batchesAhead is how many of these batches wait.
	batchFiles   = 32
	batchesAhead = 16
)

// tree compares the files of two volumes.
type tree struct {
	Options
	found    FileDiff
	packages databases
	// unpaired are the files that one side alone has, among those listed.
	unpaired []unpaired
}

func newTree(o Options) *tree { return &tree{Options: o, packages: databases{}} }

// pair is a path with the file in each volume, nil where there is none.
type pair struct {
	path string
	file [2]*sanitize.File
}

// batch is a row of pairs, and what their comparison found.
type batch struct {
	pairs   []pair
	changes []*FileChange
	done    chan struct{}
}

// run walks both trees at the same time, and compares their files on all
// processors.
func (t *tree) run(ctx context.Context, walkers [2]sanitize.Walker) error {
	tasks, inner := errgroup.WithContext(ctx)
	var walks [2]*stream
	for i, w := range walkers {
		walks[i] = &stream{batches: make(chan []sanitize.File, batchesAhead)}
		tasks.Go(func() error { return walks[i].fill(inner, w) })
	}
	queue, work := make(chan *batch, batchesAhead), make(chan *batch, batchesAhead)
	tasks.Go(func() error {
		defer close(queue)
		defer close(work)
		return t.merge(inner, walks, work, queue)
	})
	for range runtime.GOMAXPROCS(0) {
		tasks.Go(func() error {
			c := newContents(t.Options)
			for b := range work {
				for _, p := range b.pairs {
					change, err := c.compare(inner, p)
					if err != nil {
						return err
					}
					b.changes = append(b.changes, change)
				}
				close(b.done)
			}
			return nil
		})
	}
	tasks.Go(func() error {
		for b := range queue {
			select {
			case <-b.done:
			case <-inner.Done():
				return inner.Err()
			}
			for i, change := range b.changes {
				t.add(b.pairs[i], change)
			}
		}
		return nil
	})
	if err := tasks.Wait(); err != nil {
		return err
	}
	return t.finish(ctx)
}

// stream is a walk as a sequence of files.
type stream struct {
	batches chan []sanitize.File
	now     []sanitize.File
	last    string
}

// fill walks.
func (s *stream) fill(ctx context.Context, w sanitize.Walker) error {
	defer close(s.batches)
	var b []sanitize.File
	send := func() error {
		select {
		case s.batches <- b:
			b = nil
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := w.Walk(ctx, func(f sanitize.File) error {
		if b = append(b, f); len(b) < batchFiles {
			return nil
		}
		return send()
	})
	if err != nil {
		return err
	}
	return send()
}

// peek returns the next file, nil at the end. Both walks must be in the order
// of [comparePaths].
func (s *stream) peek(ctx context.Context) (*sanitize.File, error) {
	for len(s.now) == 0 {
		select {
		case b, ok := <-s.batches:
			if !ok {
				return nil, ctx.Err()
			}
			s.now = b
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	f := &s.now[0]
	if s.last != "" && f.Path != s.last && comparePaths(f.Path, s.last) < 0 {
		return nil, fmt.Errorf("%s is walked after %s", f.Path, s.last)
	}
	return f, nil
}

// take goes on behind the file that peek returned.
func (s *stream) take() { s.last, s.now = s.now[0].Path, s.now[1:] }

// merge pairs the files of both walks by their paths.
func (t *tree) merge(ctx context.Context, walks [2]*stream, to ...chan<- *batch) error {
	b := &batch{done: make(chan struct{})}
	send := func() error {
		for _, c := range to {
			select {
			case c <- b:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		b = &batch{done: make(chan struct{})}
		return nil
	}
	for {
		x, err := walks[0].peek(ctx)
		if err != nil {
			return err
		}
		y, err := walks[1].peek(ctx)
		if err != nil {
			return err
		}
		if x == nil && y == nil {
			return send()
		}
		p := pairUp(x, y)
		for i, f := range p.file {
			if f != nil {
				t.packages.note(i, f)
				walks[i].take()
			}
		}
		if b.pairs = append(b.pairs, p); len(b.pairs) == batchFiles {
			if err := send(); err != nil {
				return err
			}
		}
	}
}

// pairUp returns the pair of the first of two paths; one of them may be nil.
func pairUp(x, y *sanitize.File) pair {
	order := 0
	switch {
	case x == nil:
		order = 1
	case y == nil:
		order = -1
	default:
		order = comparePaths(x.Path, y.Path)
	}
	switch {
	case order < 0:
		return pair{x.Path, [2]*sanitize.File{x, nil}}
	case order > 0:
		return pair{y.Path, [2]*sanitize.File{nil, y}}
	}
	return pair{x.Path, [2]*sanitize.File{x, y}}
}

// comparePaths orders paths as a walk does: a directory before what is in it,
// and all of that before what follows the directory.
func comparePaths(a, b string) int {
	for i := range min(len(a), len(b)) {
		switch {
		case a[i] == b[i]:
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		case a[i] < b[i]:
			return -1
		default:
			return 1
		}
	}
	return len(a) - len(b)
}
