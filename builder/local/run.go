package local

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
)

// guarded runs the stage and turns a panic into an error: one bad stage must
// not take the events, the locks and the scratch folders of the others with it.
func (r *run) guarded(ctx context.Context, w *builder.Work) (outputs builder.Outputs, err error) {
	defer func() {
		if p := recover(); p != nil {
			w.Log.Error("the stage panicked", "panic", p, "stack", string(debug.Stack()))
			err = fault.New(fault.Stage, fmt.Errorf("a fault in imgbuild: panic: %v", p),
				"this is not your recipe's fault: please report it, with the debug log")
		}
	}()
	return r.runners[w.Stage.Kind].Run(ctx, w)
}

// verify compares the outputs of a stage with those recorded, or with those of
// a second run.
func (r *run) verify(ctx context.Context, s builder.Stage, inputs map[string]ocispec.Descriptor, content digest.Digest, got builder.Outputs) error {
	want, ok, err := r.store.Lookup(ctx, content)
	if err != nil {
		return err
	}
	if !ok {
		if want, err = r.attempt(ctx, s, inputs); err != nil {
			return fmt.Errorf("running it a second time: %w", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if got[name].Digest != want[name].Digest {
			return fault.New(fault.Check, fmt.Errorf("it is not deterministic: output %s is %s, and %s in another run",
				name, got[name].Digest, want[name].Digest),
				"compare the two with `imgbuild diff` or diffoscope")
		}
	}
	if len(got) != len(want) {
		return fault.New(fault.Check, fmt.Errorf("it is not deterministic: it made %d outputs, and %d in another run", len(got), len(want)))
	}
	return nil
}

// progressEvery is how often the progress of one stage is told at most.
const progressEvery = 100 * time.Millisecond

// throttled passes on progress, at most so many times a second.
type throttled struct {
	run   *run
	stage builder.Stage

	mu   sync.Mutex
	last time.Time
}

func (r *run) throttle(s builder.Stage) *throttled { return &throttled{run: r, stage: s} }

// progress may be called from several goroutines. The end of the work is
// always told.
func (t *throttled) progress(done, total int64, unit builder.Unit) {
	now := t.run.opts.Now()
	t.mu.Lock()
	skip := now.Sub(t.last) < progressEvery && (total <= 0 || done < total)
	if !skip {
		t.last = now
	}
	t.mu.Unlock()
	if !skip {
		t.run.emit(t.stage, builder.Event{Kind: builder.Progress, Done: done, Total: total, Unit: unit})
	}
}
