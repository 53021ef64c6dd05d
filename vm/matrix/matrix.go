// Package matrix tests one disk on many machines, and shows what came of it.
//
// [Test] boots the same image on each target, makes all checks there and
// switches the machine off. Nothing is written to the image, and [Result] names
// the digest of the bytes that all machines had. Machines run at the same time
// as far as the host carries them (see [Options.Parallel]): an emulated machine that
// has to share its processor shows times that are not its own.
//
// A target that cannot be started at all is a failed check like others; the
// rest is tested nevertheless.
//
// A result is written as a table with a chart of the boots, as JSON, as JUnit
// XML, and as an HTML page that needs no other file.
package matrix

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/vm"
	"github.com/imgbuild/imgbuild/vm/target"
)

// Options say what to test, and on what.
type Options struct {
	// Machine is what all machines have in common. Its disk is the image;
	// what it leaves open is the target's.
	Machine vm.Options
	Targets []target.Target
	Checks  vm.Checks
	// Parallel is how many machines may run at the same time; 0 is as many
	// as the host's processors and memory carry.
	Parallel int
	// Patience multiplies the time that checks, and the power button, may
	// take; 0 is 1, or [EmulatedPatience] when guests are emulated.
	Patience int
	// Tell is called when a target begins, and when it ends with its run. It
	// may be nil, and is called by one goroutine at a time.
	Tell func(target string, run *Run)
}

// Result is the outcome of a test.
type Result struct {
	Image string `json:"image"`
	// Digest is that of the raw disk, whatever format the image has.
	Digest string `json:"digest"`
	Size   int64  `json:"size"` // of the raw disk, in bytes
	OK     bool   `json:"ok"`
	Runs   []Run  `json:"runs"`
}

// Run is the test on one target.
type Run struct {
	Target string `json:"target"`
	*vm.Report
	err error // why the machine could not be started
}

// Test tests the image on every target. A failed check is no error here:
// [Result.Err] tells of it.
func Test(ctx context.Context, o Options) (*Result, error) {
	if err := o.fit(ctx); err != nil {
		return nil, err
	}
	machines := make([]*vm.Machine, len(o.Targets))
	for i, t := range o.Targets {
		var err error
		if machines[i], err = vm.New(t.Fill(o.Machine)); err != nil {
			return nil, fault.New(fault.Usage, fmt.Errorf("target %s: %w", t.Name, err), "name other targets, or flags that fit this one")
		}
	}
	checks := vm.Checks{List: patient(o.Checks.List, o.Patience), Ready: o.Checks.Ready}
	result := &Result{Image: o.Machine.Disk, Runs: make([]Run, len(o.Targets))}
	var err error
	if result.Digest, result.Size, err = digest(ctx, o.Machine.Disk); err != nil {
		return nil, err
	}
	var (
		all   sync.WaitGroup
		mu    sync.Mutex
		slots = make(chan struct{}, o.Parallel)
	)
	tell := func(name string, run *Run) {
		mu.Lock()
		defer mu.Unlock()
		if o.Tell != nil {
			o.Tell(name, run)
		}
	}
	for i, t := range o.Targets {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		all.Go(func() {
			defer func() { <-slots }()
			tell(t.Name, nil)
			result.Runs[i] = test(ctx, t.Name, machines[i], checks)
			tell(t.Name, &result.Runs[i])
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	made, failed := result.count()
	result.OK = failed == 0 && made > 0
	return result, nil
}

// test makes the checks on one machine.
func test(ctx context.Context, name string, m *vm.Machine, checks vm.Checks) Run {
	run := Run{Target: name}
	err := m.Run(ctx, func(r *vm.Running) error {
		run.Report = r.Test(ctx, checks)
		return run.Report.Err()
	})
	if run.Report != nil {
		return run
	}
	text := err.Error()
	if hints := fault.HintsOf(err); len(hints) > 0 {
		text += " (" + strings.Join(hints, "; ") + ")"
	}
	run.Report, run.err = &vm.Report{Results: []vm.Result{{Check: "start", Detail: text}}}, err
	return run
}

// count returns how many checks were made, and how many failed.
func (r *Result) count() (made, failed int) {
	for _, run := range r.Runs {
		for _, res := range run.Results {
			made++
			if !res.OK {
				failed++
			}
		}
	}
	return made, failed
}

// Err returns nil when every check succeeded, else a fault of kind Check. When
// nothing failed but machines that could not be started, it is theirs.
func (r *Result) Err() error {
	if r.OK {
		return nil
	}
	var starts []error
	checks := false
	for _, run := range r.Runs {
		switch {
		case run.err != nil:
			starts = append(starts, fmt.Errorf("starting %s: %w", run.Target, run.err))
		case !run.OK():
			checks = true
		}
	}
	if !checks && len(starts) > 0 {
		return errors.Join(starts...)
	}
	made, failed := r.count()
	return fault.New(fault.Check, fmt.Errorf("%d of %d checks of %s failed", failed, made, r.Image))
}
