package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/stages"
	"github.com/imgbuild/imgbuild/vm"
	"github.com/imgbuild/imgbuild/vm/matrix"
	"github.com/imgbuild/imgbuild/vm/target"
)

// gateFlags make the test of a build's disk a condition for its outputs.
type gateFlags struct {
	reportFlags
	test []string // targets; none for no gate
}

func (f *gateFlags) addGate(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.test, "test", nil, "make the recipe's checks before any output gets its name: --test for bios and uefi, or --test=TARGET,…")
	flags.Lookup("test").NoOptDefVal = target.Quick
	f.addReports(cmd)
}

// on reports whether there is a gate.
func (f *gateFlags) on() bool { return f.test != nil }

// check refuses before a build what would fail after it.
func (f *gateFlags) check() error {
	if !f.on() {
		if f.junit != "" || f.report != "" {
			return fault.New(fault.Usage, errors.New("--junit and --report: there is no test to report"), "add --test")
		}
		return nil
	}
	on := machineFlags{on: f.test}
	_, err := on.targets()
	return errors.Join(err, writable("--junit", f.junit), writable("--report", f.report))
}

// gate tests the disk of a finished build on every target. No output has its name
// yet: what is tested are the bytes that all of them hold.
func (c *cli) gate(ctx context.Context, s *stages.Session, results map[string]builder.Outputs, f gateFlags) (result *matrix.Result, err error) {
	path, remove, err := s.ScratchDisk(ctx, results)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, remove()) }()
	r := s.Recipe.Recipe
	began := map[string]time.Time{}
	tell := func(target string, run *matrix.Run) {
		e := builder.Event{Time: time.Now(), Stage: "test " + target, Kind: builder.Started, Title: "make the checks"}
		switch {
		case run == nil:
			began[target] = e.Time
		case run.OK():
			e.Kind, e.Elapsed = builder.Finished, e.Time.Sub(began[target])
		default:
			e.Kind, e.Error = builder.Failed, failedChecks(run)
		}
		s.Listen(e)
	}
	result, err = c.matrix(ctx, subject{
		image: path, memory: int64(r.Guest.Memory), cpus: r.Guest.CPUs, ports: r.App.Ports, checks: r.Test,
	}, testOptions{machineFlags: machineFlags{on: f.test, accel: string(vm.Auto)}}, tell)
	if err != nil {
		return nil, err
	}
	result.Image = r.Name + " " + r.Version
	return result, errors.Join(f.write(result), result.Err())
}
