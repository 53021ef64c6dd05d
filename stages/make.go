package stages

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/builder/local"
	"github.com/imgbuild/imgbuild/output"
)

// Test is a gate behind those of the plan: it judges what a build made.
type Test func(ctx context.Context, results map[string]builder.Outputs) error

// Make executes the plan and writes the outputs into OutDir. To save time they
// are written while the gates judge the disk, but aside: they get their names
// when every gate has passed, the last of which is test, unless it is nil. When
// one fails the folder is as it was.
func (s *Session) Make(ctx context.Context, test Test) (*Result, error) {
	// Better now than at the end: the outputs must have a place.
	dir, err := output.OpenDir(s.OutDir)
	if err != nil {
		return nil, err
	}
	x, err := s.start(ctx)
	if err != nil {
		return nil, err
	}
	jobs, going := errgroup.WithContext(ctx)
	passed := make(chan struct{})
	var results map[string]builder.Outputs
	jobs.Go(func() (err error) {
		// Whatever becomes of the outputs, the stages end: their results are kept.
		if results, err = x.Wait(); err != nil {
			return err
		}
		if err = s.keepClasses(ctx, results); err == nil && test != nil {
			err = test(going, results)
		}
		if err == nil {
			close(passed)
		}
		return err
	})
	gate := func() error {
		select {
		case <-passed:
			return nil
		case <-going.Done():
			return context.Cause(going)
		}
	}
	var result *Result
	jobs.Go(func() (err error) {
		result, err = s.export(going, x, dir.Behind(gate))
		return err
	})
	if err := jobs.Wait(); err != nil {
		return nil, err
	}
	if result.Sanitize, err = readBlob(ctx, s.Store, results[StageProof]["report"]); err != nil {
		return nil, err
	}
	result.Stages = s.took
	return result, result.save(dir)
}

// start begins to execute the plan.
func (s *Session) start(ctx context.Context) (*local.Execution, error) {
	s.took = map[string]float64{}
	engine := local.New(s.Store, s.Runners(), local.Options{
		Scope: s.Recipe.Path,
		Listener: func(e builder.Event) {
			if e.Kind == builder.Finished {
				s.took[e.Stage] = e.Elapsed.Seconds()
			}
			s.Listen(e)
		},
		Verify: s.Verify,
		Log:    s.Request.Log,
	})
	return engine.Start(ctx, s.Build.Plan)
}
