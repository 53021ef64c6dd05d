package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/builder/view"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/stages"
	"github.com/imgbuild/imgbuild/vm/matrix"
)

// buildOptions are the flags of `imgbuild build`.
type buildOptions struct {
	recipeFlags
	gateFlags
	out     string
	explain bool
	verify  bool
	trace   string
}

func (c *cli) buildCommand() *cobra.Command {
	var o buildOptions
	cmd := &cobra.Command{
		Use:   "build RECIPE",
		Short: "Build the appliance of a recipe",
		Long: `Build makes the outputs that the recipe asks for, and NAME.json, which tells
their digests and sizes and what the scrub found. Stages whose inputs have not
changed are reused from the cache.

With --test the finished disk is booted and the recipe's checks are made, as by
` + "`imgbuild test`" + `, before any output gets its name: when one fails, the build ends in
exit code 6 and the folder of the outputs is as it was.`,
		Example: "  imgbuild build hello.yaml -o out\n  imgbuild build hello.yaml --set runtime.jvm.profile=fast-start --explain\n" +
			"  imgbuild build hello.yaml --test=quick,vmware --junit checks.xml",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			result, err := c.build(cmd.Context(), args[0], o)
			if err != nil {
				return err
			}
			if c.json {
				return writeJSON(c.stdout, result)
			}
			for _, path := range result.Paths(o.out) {
				fmt.Fprintln(c.stdout, path)
			}
			return nil
		},
	}
	o.addBuild(cmd)
	o.addGate(cmd)
	c.jsonFlag(cmd)
	cmd.Flags().StringVarP(&o.out, "output", "o", "out", "folder of the outputs")
	cmd.Flags().BoolVar(&o.explain, "explain", false, "say of each stage why it ran or was reused")
	cmd.Flags().BoolVar(&o.verify, "verify", false, "run every stage and compare with what the cache holds")
	cmd.Flags().StringVar(&o.trace, "trace", "", "write the timing of the stages to a file that Chrome's tracing page and Perfetto read")
	return cmd
}

// build runs a build with its progress on stderr.
func (c *cli) build(ctx context.Context, recipe string, o buildOptions) (*stages.Result, error) {
	if err := errors.Join(o.gateFlags.check(), writable("--trace", o.trace)); err != nil {
		return nil, err
	}
	started := time.Now()
	q, err := c.request(recipe, &o.recipeFlags)
	if err != nil {
		return nil, err
	}
	v, err := view.New(view.Mode(c.progress), c.stderr, view.Options{Explain: o.explain, Begin: started})
	if err != nil {
		return nil, fault.New(fault.Usage, err)
	}
	var events []builder.Event
	q.OutDir, q.Verify = o.out, o.verify
	q.Listen = func(e builder.Event) {
		if o.trace != "" {
			events = append(events, e)
		}
		v.Event(e)
	}
	result, tested, err := c.buildSession(ctx, q, o.gateFlags)
	if o.trace != "" && len(events) > 0 {
		if traceErr := writeTrace(o.trace, events); err == nil {
			err = traceErr
		}
	}
	v.Event(builder.Completion(started, time.Now(), err))
	if closeErr := v.Close(); err == nil {
		err = closeErr
	}
	if tested != nil && !tested.OK && view.Mode(c.progress) != view.JSON {
		err = errors.Join(tested.WriteText(c.stderr), err)
	}
	if err != nil && view.Mode(c.progress) == view.JSON {
		err = reported{err} // by the last event
	}
	return result, err
}

// buildSession builds, and tests when there is a gate.
func (c *cli) buildSession(ctx context.Context, q stages.Request, f gateFlags) (*stages.Result, *matrix.Result, error) {
	s, err := stages.Open(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	defer s.Close()
	var tested *matrix.Result
	var test stages.Test
	if f.on() {
		test = func(ctx context.Context, results map[string]builder.Outputs) (err error) {
			tested, err = c.gate(ctx, s, results, f)
			return err
		}
	}
	result, err := s.Make(ctx, test)
	return result, tested, err
}

// writable checks that the file of a flag can be made, long before it is. An
// empty path stands for none.
func writable(flag, path string) error {
	if path == "" {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".imgbuild-")
	if err != nil {
		return fault.New(fault.Environment, fmt.Errorf("%s %s: %w", flag, path, err), "name a file in a folder that you may write")
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func writeTrace(path string, events []builder.Event) error {
	f, err := os.Create(path)
	if err != nil {
		return fault.New(fault.Environment, err)
	}
	if err := builder.WriteTrace(f, events); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
