package audit

import (
	"context"
	"sync"

	"github.com/imgbuild/imgbuild/disk"
)

// pool runs jobs on many goroutines and takes their results in the order of
// the jobs, so that what is made of them does not depend on the machine. What
// waits is bounded.
type pool struct {
	workers int
	// take is called with each result, in order, by one goroutine.
	take func(result) error
}

// job is a unit of work.
type job func(w *worker) result

// result is what a job found.
type result struct {
	found    *tally
	problems []Problem
	scanned  int64         // bytes in blocks that are not zero
	residue  []disk.Extent // those of them that nobody owns
	files    int64
	cost     int64 // of the whole, for progress
}

// ticket is a job and the place for its result.
type ticket struct {
	do   job
	done chan result
}

// run feeds the jobs that produce emits through the pool. It ends with the
// first error of produce, of take, or of ctx.
func (p pool) run(ctx context.Context, newWorker func() *worker, produce func(ctx context.Context, emit func(job) error) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	jobs, order := make(chan ticket), make(chan ticket, 4*p.workers)
	var busy sync.WaitGroup
	for range p.workers {
		busy.Go(func() {
			w := newWorker()
			for t := range jobs {
				t.done <- t.do(w)
			}
		})
	}
	produced := make(chan error, 1)
	go func() {
		defer close(order)
		defer close(jobs)
		produced <- produce(ctx, func(do job) error {
			t := ticket{do, make(chan result, 1)}
			for _, to := range []chan ticket{order, jobs} {
				select {
				case to <- t:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			return nil
		})
	}()
	var failed error
	for t := range order {
		if failed != nil {
			continue
		}
		select {
		case r := <-t.done:
			failed = p.take(r)
		case <-ctx.Done():
			failed = context.Cause(ctx)
		}
		if failed != nil {
			cancel(failed)
		}
	}
	busy.Wait()
	if err := <-produced; failed == nil {
		failed = err
	}
	return failed
}
