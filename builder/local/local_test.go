package local_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/go-hclog"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"pgregory.net/rapid"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/builder/local"
	"github.com/imgbuild/imgbuild/builder/store"
	"github.com/imgbuild/imgbuild/fault"
)

func TestMain(m *testing.M) {
	store.RouteLogs(hclog.NewNullLogger())
	if dir := os.Getenv(childEnv); dir != "" {
		os.Exit(childMain(dir))
	}
	os.Exit(m.Run())
}

// concat is a runner that writes its parameter and its inputs, by role, into
// its one output "out", and counts how often each stage ran.
type concat struct {
	mu   sync.Mutex
	runs map[string]int
}

func (c *concat) Run(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	c.mu.Lock()
	if c.runs == nil {
		c.runs = make(map[string]int)
	}
	c.runs[w.Stage.Name]++
	c.mu.Unlock()
	// By way of a file in the scratch folder, as real stages do.
	path := filepath.Join(w.Dir, "out")
	text := string(w.Stage.Params)
	for _, role := range slices.Sorted(maps.Keys(w.Inputs)) {
		b, err := w.Store.Open(ctx, w.Inputs[role])
		if err != nil {
			return nil, err
		}
		p, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
		b.Close()
		if err != nil {
			return nil, err
		}
		text += fmt.Sprintf(" %s=(%s)", role, p)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return put(ctx, w, text)
}

func (c *concat) take() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	runs := c.runs
	c.runs = nil
	return runs
}

func put(ctx context.Context, w *builder.Work, text string) (builder.Outputs, error) {
	bw, err := w.Store.Create(ctx, "text/plain")
	if err != nil {
		return nil, err
	}
	defer bw.Close()
	if _, err := io.WriteString(bw, text); err != nil {
		return nil, err
	}
	desc, err := bw.Commit(ctx)
	return builder.Outputs{"out": desc}, err
}

// bench is a store and runners to build with.
type bench struct {
	t       *testing.T
	store   *store.Store
	concat  *concat
	runners map[string]builder.Runner
	opts    local.Options

	mu     sync.Mutex
	events []builder.Event
}

func newBench(t *testing.T) *bench {
	t.Helper()
	s, err := store.Open(t.TempDir(), hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &bench{t: t, store: s, concat: new(concat)}
	b.runners = map[string]builder.Runner{"concat": b.concat}
	b.opts.Scope = t.Name()
	b.opts.Listener = func(ev builder.Event) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.events = append(b.events, ev)
	}
	return b
}

func (b *bench) run(stages []builder.Stage, targets ...string) (map[string]builder.Outputs, error) {
	b.t.Helper()
	p, err := builder.NewPlan(stages, targets)
	if err != nil {
		b.t.Fatal(err)
	}
	b.events = nil
	return local.New(b.store, b.runners, b.opts).Run(b.t.Context(), p)
}

func (b *bench) read(desc ocispec.Descriptor) string {
	b.t.Helper()
	p, err := b.store.ReadAll(b.t.Context(), desc, 1<<20)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(p)
}

// reasons gives the reasons of all events of a kind, by stage.
func (b *bench) reasons(kind builder.EventKind) map[string]string {
	reasons := make(map[string]string)
	for _, ev := range b.events {
		if ev.Kind == kind {
			reasons[ev.Stage] = ev.Reason
		}
	}
	return reasons
}

func stage(name, params string, inputs ...string) builder.Stage {
	s := builder.Stage{Name: name, Kind: "concat", Version: 1, Params: json.RawMessage(params)}
	for _, in := range inputs {
		s.Inputs = append(s.Inputs, builder.Input{Role: in, Stage: in, Output: "out"})
	}
	return s
}

func TestRun(t *testing.T) {
	b := newBench(t)
	stages := []builder.Stage{stage("a", `"A"`), stage("b", `"B"`, "a"), stage("c", `"C"`, "a", "b")}
	got, err := b.run(stages, "c")
	if err != nil {
		t.Fatal(err)
	}
	want := `"C" a=("A") b=("B" a=("A"))`
	if text := b.read(got["c"]["out"]); text != want {
		t.Errorf("got %s, want %s", text, want)
	}
	if diff := cmp.Diff(map[string]int{"a": 1, "b": 1, "c": 1}, b.concat.take()); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"a": "never built", "b": "never built", "c": "never built"}, b.reasons(builder.Started)); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}

	// The second time only the target is looked at.
	if _, err := b.run(stages, "c"); err != nil {
		t.Fatal(err)
	}
	if runs := b.concat.take(); len(runs) > 0 {
		t.Errorf("ran again: %v", runs)
	}
	for _, ev := range b.events {
		if ev.Stage != "c" {
			t.Errorf("an event of %s, which was not needed: %s", ev.Stage, ev.Kind)
		}
	}
}

// TestSecondChance changes a stage so that its output stays the same: what
// depends on it is reused.
func TestSecondChance(t *testing.T) {
	b := newBench(t)
	stages := []builder.Stage{stage("a", `"A"`), stage("b", `"B"`, "a")}
	if _, err := b.run(stages, "b"); err != nil {
		t.Fatal(err)
	}
	b.concat.take()
	stages[0].Version = 2
	if _, err := b.run(stages, "b"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"a": 1}, b.concat.take()); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
	if got := b.reasons(builder.Started)["a"]; got != "runner version changed from 1 to 2" {
		t.Errorf("reason of a: %q", got)
	}
	if got := b.reasons(builder.Cached)["b"]; got != "what it is made from is the same as before" {
		t.Errorf("reason of b: %q", got)
	}
	// The new definition key is recorded: no stage but the target is asked.
	if _, err := b.run(stages, "b"); err != nil {
		t.Fatal(err)
	}
	if len(b.reasons(builder.Planned)) != 1 {
		t.Errorf("stages that were looked at: %v", b.reasons(builder.Planned))
	}
}

func TestReasons(t *testing.T) {
	base := func() []builder.Stage {
		s := []builder.Stage{stage("a", `"A"`), stage("b", `"B"`, "a")}
		s[1].Tools = map[string]string{"mkfs": "1.0"}
		return s
	}
	tests := []struct {
		name   string
		change func(*bench, []builder.Stage)
		want   map[string]string
	}{
		{"input", func(_ *bench, s []builder.Stage) { s[0].Params = json.RawMessage(`"X"`) },
			map[string]string{"a": "parameters changed", "b": "inputs changed: a"}},
		{"version", func(_ *bench, s []builder.Stage) { s[1].Version = 3 },
			map[string]string{"b": "runner version changed from 1 to 3"}},
		{"tool", func(_ *bench, s []builder.Stage) { s[1].Tools = map[string]string{"mkfs": "1.1"} },
			map[string]string{"b": "tool mkfs changed from 1.0 to 1.1"}},
		{"tool and input", func(_ *bench, s []builder.Stage) {
			s[0].Params = json.RawMessage(`"X"`)
			s[1].Tools = map[string]string{"mkfs": "1.1", "jlink": "17"}
		}, map[string]string{"a": "parameters changed", "b": "tool jlink 17 is new; tool mkfs changed from 1.0 to 1.1; inputs changed: a"}},
		{"blob missing", func(b *bench, s []builder.Stage) {
			if _, err := b.store.Prune(b.t.Context(), store.PruneOptions{}); err != nil {
				b.t.Fatal(err)
			}
			p, _ := builder.NewPlan(s, []string{"b"})
			out, _, err := b.store.Lookup(b.t.Context(), p.Key("b"))
			if err != nil {
				b.t.Fatal(err)
			}
			if err := b.store.Content().Delete(b.t.Context(), out["out"].Digest); err != nil {
				b.t.Fatal(err)
			}
		}, map[string]string{"b": "blob missing: its outputs are no longer in the cache"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			if _, err := b.run(base(), "b"); err != nil {
				t.Fatal(err)
			}
			stages := base()
			test.change(b, stages)
			if _, err := b.run(stages, "b"); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, b.reasons(builder.Started)); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFailure checks that the first error is kept with its kind, that others
// are stopped, and that nothing is left in the scratch folder.
func TestFailure(t *testing.T) {
	b := newBench(t)
	b.opts.Parallel = 2
	stopped := make(chan struct{})
	waiting := make(chan struct{})
	b.runners["wait"] = builder.RunnerFunc(func(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
		close(waiting)
		<-ctx.Done()
		close(stopped)
		return nil, errors.New("killed")
	})
	b.runners["fail"] = builder.RunnerFunc(func(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
		<-waiting
		return nil, fault.New(fault.Input, errors.New("checksum differs"), "run `imgbuild lock`")
	})
	_, err := b.run([]builder.Stage{
		{Name: "slow", Kind: "wait"}, {Name: "bad", Kind: "fail"},
		stage("never", `""`, "bad"),
	}, "slow", "never")
	<-stopped
	if err == nil || err.Error() != "stage bad: checksum differs" {
		t.Fatalf("error %v", err)
	}
	if fault.KindOf(err) != fault.Input || len(fault.HintsOf(err)) != 1 {
		t.Errorf("kind %v, hints %q", fault.KindOf(err), fault.HintsOf(err))
	}
	if b.concat.take() != nil {
		t.Error("a stage ran after the failure of its input")
	}
	failed := 0
	for _, ev := range b.events {
		if ev.Kind == builder.Failed {
			failed++
			if ev.Stage != "bad" || ev.Code != 4 || len(ev.Hints) != 1 {
				t.Errorf("event %+v", ev)
			}
		}
	}
	if failed != 1 {
		t.Errorf("%d failures were told", failed)
	}
	left, err := filepath.Glob(filepath.Join(b.store.Dir(), "sessions", "*", "*-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("scratch folders are left: %v %v", left, err)
	}
}

func TestPanic(t *testing.T) {
	b := newBench(t)
	b.runners["panic"] = builder.RunnerFunc(func(context.Context, *builder.Work) (builder.Outputs, error) {
		var m map[string]int
		m["x"] = 1
		return nil, nil
	})
	_, err := b.run([]builder.Stage{{Name: "boom", Kind: "panic"}}, "boom")
	if err == nil || !strings.HasPrefix(err.Error(), "stage boom: ") || !strings.Contains(err.Error(), "nil map") {
		t.Errorf("error %v", err)
	}
}

func TestInterrupted(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	b.runners["wait"] = builder.RunnerFunc(func(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
		cancel()
		<-ctx.Done()
		return nil, errors.New("signal: killed")
	})
	p, err := builder.NewPlan([]builder.Stage{{Name: "slow", Kind: "wait"}}, []string{"slow"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = local.New(b.store, b.runners, b.opts).Run(ctx, p)
	if fault.KindOf(err) != fault.Interrupted || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestVerify(t *testing.T) {
	b := newBench(t)
	b.opts.Verify = true
	stages := []builder.Stage{stage("a", `"A"`), stage("b", `"B"`, "a")}
	for _, want := range []int{2, 1} { // with nothing recorded, then with
		if _, err := b.run(stages, "b"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]int{"a": want, "b": want}, b.concat.take()); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	}
	n := 0
	b.runners["dice"] = builder.RunnerFunc(func(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
		n++
		return put(ctx, w, fmt.Sprint(n))
	})
	_, err := b.run([]builder.Stage{{Name: "dice", Kind: "dice"}}, "dice")
	if fault.KindOf(err) != fault.Check || !strings.Contains(err.Error(), "stage dice: it is not deterministic: output out") {
		t.Errorf("error %v", err)
	}
}

func TestMissing(t *testing.T) {
	b := newBench(t)
	bad := stage("b", `""`, "a")
	bad.Inputs[0].Output = "nothing"
	if _, err := b.run([]builder.Stage{stage("a", `""`), bad}, "b"); err == nil ||
		err.Error() != `stage b: input a: stage a did not make an output "nothing"` {
		t.Errorf("error %v", err)
	}
	if _, err := b.run([]builder.Stage{{Name: "x", Kind: "unheard"}}, "x"); fault.KindOf(err) != fault.Usage {
		t.Errorf("error %v", err)
	}
}

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

func TestFresh(t *testing.T) {
	b := newBench(t)
	stages := []builder.Stage{stage("a", `"A"`), stage("b", `"B"`, "a")}
	for range 2 {
		b.opts.Fresh = true
		if _, err := b.run(stages, "b"); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]int{"a": 1, "b": 1}, b.concat.take()); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	}
	b.opts.Fresh = false
	if _, err := b.run(stages, "b"); err != nil || b.concat.take() != nil {
		t.Errorf("what was made afresh is not reused: %v", err)
	}
}
