package local_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/builder/local"
)

// TestAnyGraph builds random graphs: every needed stage runs once and after
// its inputs, and a second run runs nothing.
func TestAnyGraph(t *testing.T) {
	b := newBench(t)
	build := 0
	rapid.Check(t, func(rt *rapid.T) {
		build++
		var stages []builder.Stage
		n := rapid.IntRange(1, 7).Draw(rt, "stages")
		needs := make(map[string][]string)
		for i := range n {
			var inputs []string
			for j := range i {
				if rapid.Bool().Draw(rt, fmt.Sprintf("%d needs %d", i, j)) {
					inputs = append(inputs, fmt.Sprint("s", j))
				}
			}
			s := stage(fmt.Sprint("s", i), fmt.Sprintf(`"%d of build %d"`, i, build), inputs...)
			needs[s.Name] = inputs
			stages = append(stages, s)
		}
		target := stages[n-1].Name
		p, err := builder.NewPlan(stages, []string{target})
		if err != nil {
			rt.Fatal(err)
		}
		over := make(map[string]bool)
		opts := local.Options{Parallel: 3, Listener: func(ev builder.Event) {
			switch ev.Kind {
			case builder.Started:
				for _, in := range needs[ev.Stage] {
					if !over[in] {
						rt.Errorf("%s runs before its input %s is made", ev.Stage, in)
					}
				}
			case builder.Finished:
				over[ev.Stage] = true
			}
		}}
		for run := range 2 {
			if _, err := local.New(b.store, b.runners, opts).Run(t.Context(), p); err != nil {
				rt.Fatal(err)
			}
			runs := b.concat.take()
			want := make(map[string]int)
			if run == 0 {
				for _, s := range p.Stages() {
					want[s.Name] = 1
				}
			}
			if diff := cmp.Diff(want, runs, cmpopts.EquateEmpty()); diff != "" {
				rt.Fatalf("run %d: runs (-want +got):\n%s", run, diff)
			}
		}
	})
}

// TestParallel runs as many stages at a time as are allowed, and not more.
func TestParallel(t *testing.T) {
	b := newBench(t)
	b.opts.Parallel = 2
	var now, most atomic.Int32
	both := make(chan struct{})
	b.runners["count"] = builder.RunnerFunc(func(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
		n := now.Add(1)
		defer now.Add(-1)
		most.Store(max(most.Load(), n))
		if n == 2 {
			select {
			case <-both:
			default:
				close(both)
			}
		}
		<-both
		return put(ctx, w, w.Stage.Name)
	})
	var stages []builder.Stage
	var targets []string
	for i := range 6 {
		name := fmt.Sprint("s", i)
		stages = append(stages, builder.Stage{Name: name, Kind: "count", Params: json.RawMessage(fmt.Sprint(i))})
		targets = append(targets, name)
	}
	if _, err := b.run(stages, targets...); err != nil {
		t.Fatal(err)
	}
	if most.Load() != 2 {
		t.Errorf("%d stages ran at a time", most.Load())
	}
}

// TestProgress lets a stage report more often than anyone wants to know.
func TestProgress(t *testing.T) {
	b := newBench(t)
	clock := time.Unix(1000, 0)
	var mu sync.Mutex
	b.opts.Now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		clock = clock.Add(time.Millisecond)
		return clock
	}
	b.runners["chatty"] = builder.RunnerFunc(func(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
		for i := range int64(1000) {
			w.Progress(i+1, 1000, builder.Bytes)
		}
		w.Warn("%d odd names", 3)
		return put(ctx, w, "x")
	})
	if _, err := b.run([]builder.Stage{{Name: "s", Kind: "chatty", Title: "Talk"}}, "s"); err != nil {
		t.Fatal(err)
	}
	told, last := 0, builder.Event{}
	for _, ev := range b.events {
		switch ev.Kind {
		case builder.Progress:
			told, last = told+1, ev
		case builder.Warning:
			if ev.Message != "3 odd names" || ev.Title != "Talk" {
				t.Errorf("event %+v", ev)
			}
		}
	}
	if told < 5 || told > 20 || last.Done != 1000 {
		t.Errorf("told %d times, last %+v", told, last)
	}
}
