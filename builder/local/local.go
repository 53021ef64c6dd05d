// Package local is the engine that executes a plan on this machine.
//
// # Demand
//
// The engine begins at the targets. A stage whose result is recorded under its
// definition key is done, and its inputs are not looked at. Otherwise its
// inputs are made, then the second key is asked: identity and what the inputs
// really are. Only then does the stage run. Its outputs are recorded under both
// keys.
//
// # Order
//
// Every stage that is asked for waits for its inputs and runs as soon as they
// are there, at most Options.Parallel at a time. The first failure stops the
// others; its error is the one returned.
//
// # Several builds at once
//
// A stage runs under a lock of the store that carries its content key. A second
// process that wants the same waits, says so in an event, and reuses the
// result.
package local

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/builder/store"
	"github.com/imgbuild/imgbuild/fault"
)

// Options are the knobs of an engine. The zero value is what builds use.
type Options struct {
	// Parallel is how many stages run at a time; the number of processors by
	// default.
	Parallel int
	// Scope names what is built, so that the reasons why a stage runs compare
	// with the last build of the same: the path of the recipe.
	Scope string
	// Fresh runs every stage, whatever is recorded.
	Fresh bool
	// Verify runs every stage and compares its outputs with those recorded,
	// or, when nothing is, with those of a second run.
	Verify bool
	// Listener receives the events; nil when nobody listens.
	Listener builder.Listener
	Log      hclog.Logger
	// Now is the clock that events take their time from; time.Now by default.
	Now func() time.Time
}

// Engine is the local engine. It implements builder.Engine.
type Engine struct {
	store   *store.Store
	runners map[string]builder.Runner
	opts    Options
	slots   chan struct{} // one for each running stage

	mu sync.Mutex // one event at a time
}

var _ builder.Engine = (*Engine)(nil)

// New returns an engine that keeps results in s and runs stages by the runners
// of their kinds.
func New(s *store.Store, runners map[string]builder.Runner, opts Options) *Engine {
	if opts.Parallel <= 0 {
		opts.Parallel = runtime.GOMAXPROCS(0)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = hclog.NewNullLogger()
	}
	return &Engine{store: s, runners: runners, opts: opts, slots: make(chan struct{}, opts.Parallel)}
}

// emit sends an event about a stage.
func (e *Engine) emit(s builder.Stage, ev builder.Event) {
	if e.opts.Listener == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	ev.Time = e.opts.Now()
	ev.Stage, ev.Title = s.Name, s.Title
	e.opts.Listener(ev)
}

// Run makes the targets of the plan and returns their outputs by stage name.
// It does not send builder.Completed: that is for whoever owns the whole run.
func (e *Engine) Run(ctx context.Context, p *builder.Plan) (map[string]builder.Outputs, error) {
	x, err := e.Start(ctx, p)
	if err != nil {
		return nil, err
	}
	return x.Wait()
}

// Start begins to make the targets of the plan. The caller ends with Wait.
func (e *Engine) Start(ctx context.Context, p *builder.Plan) (*Execution, error) {
	for _, s := range p.Stages() {
		if e.runners[s.Kind] == nil {
			return nil, fault.New(fault.Usage, fmt.Errorf("stage %s: nothing runs stages of kind %q", s.Name, s.Kind))
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	r := &run{Engine: e, plan: p, nodes: make(map[string]*node), cancel: cancel}
	for _, s := range p.Stages() {
		r.nodes[s.Name] = &node{stage: s, done: make(chan struct{})}
	}
	for _, name := range p.Targets() {
		r.demand(ctx, name)
	}
	return &Execution{run: r, stopped: ctx.Done()}, nil
}

// Execution is a plan that is being executed.
type Execution struct {
	run     *run
	stopped <-chan struct{} // closed by the first failure
}

// Wait returns the outputs of the targets when all are made, as [Engine.Run]
// does.
func (x *Execution) Wait() (map[string]builder.Outputs, error) {
	defer x.run.cancel(nil)
	x.run.wait.Wait()
	if x.run.err != nil {
		return nil, x.run.err
	}
	return x.Outputs(x.run.plan.Targets()...)
}

// Outputs returns the outputs of some targets as soon as they are made. Its
// error is that of Wait.
func (x *Execution) Outputs(targets ...string) (map[string]builder.Outputs, error) {
	results := make(map[string]builder.Outputs, len(targets))
	for _, name := range targets {
		n := x.run.nodes[name]
		select {
		case <-n.done:
		case <-x.stopped:
			x.run.wait.Wait()
			if x.run.err != nil {
				return nil, x.run.err
			}
		}
		results[name] = n.outputs
	}
	return results, nil
}

// run is one execution of a plan.
type run struct {
	*Engine
	plan   *builder.Plan
	nodes  map[string]*node
	cancel context.CancelCauseFunc
	wait   sync.WaitGroup

	once sync.Once
	err  error // the first
}

// node is a stage in a run. outputs is set when done is closed, unless the run
// has failed.
type node struct {
	stage   builder.Stage
	once    sync.Once
	done    chan struct{}
	outputs builder.Outputs
}

// demand starts to make a stage, unless that was done before.
func (r *run) demand(ctx context.Context, name string) {
	n := r.nodes[name]
	n.once.Do(func() {
		r.wait.Go(func() {
			outputs, err := r.make(ctx, n.stage)
			if err != nil {
				r.fail(ctx, n.stage, err)
				return
			}
			n.outputs = outputs
			close(n.done)
		})
	})
}

// fail keeps the first error and stops everything else. What stages say when
// they are stopped is not worth telling.
func (r *run) fail(ctx context.Context, s builder.Stage, err error) {
	r.once.Do(func() {
		err = r.store.Diagnose(err)
		if ctx.Err() != nil {
			// Nothing failed before, so the caller has ended the run.
			err = fault.New(fault.Interrupted, context.Cause(ctx))
		}
		r.err = fmt.Errorf("stage %s: %w", s.Name, err)
		r.emit(s, builder.Event{
			Kind: builder.Failed, Key: r.plan.Key(s.Name),
			Error: err.Error(), Hints: fault.HintsOf(err), Code: int(fault.KindOf(err)),
		})
		r.cancel(r.err)
	})
}
