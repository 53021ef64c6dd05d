package local_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/builder/local"
	"github.com/imgbuild/imgbuild/builder/store"
)

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
