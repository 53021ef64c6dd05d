package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/recipes"
	"github.com/imgbuild/imgbuild/vm"
	"github.com/imgbuild/imgbuild/vm/matrix"
	"github.com/imgbuild/imgbuild/vm/target"
)

// testOptions are the flags of `imgbuild test`.
type testOptions struct {
	buildOptions
	machineFlags
	reportFlags
	parallel int
	patience int
}

// reportFlags name the files that a test writes.
type reportFlags struct {
	junit, report string
}

func (f *reportFlags) addReports(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.junit, "junit", "", "write the checks as JUnit XML to this file")
	cmd.Flags().StringVar(&f.report, "report", "", "write the checks and a chart of the boots as one HTML page to this file")
}

func (c *cli) testCommand() *cobra.Command {
	var o testOptions
	cmd := &cobra.Command{
		Use:   "test RECIPE|IMAGE",
		Short: "Boot an appliance on its targets and make the recipe's checks",
		Long: `Test boots an image, or builds a recipe and boots the result, makes the checks
of the recipe's test list, and switches the machine off by its power button. It
does so on each target that --on names. An image is tested with the checks that
NAME.json beside it holds. Without any check, the app's ports must take
connections. The disk is not changed: the digest that is shown is that of the
bytes that every machine had. A failed check ends in exit code 6.

Machines run at the same time as far as processors and memory of this host go;
emulated ones would spoil each other's times otherwise. The time that a check may
take is for a guest that is not emulated; one that is gets five times as much. Flags such as --bus
replace a part of every target. The targets and their groups:

` + target.Help(),
		Example: "  imgbuild test hello.yaml\n  imgbuild test out/hello.qcow2 --on uefi,vmware --junit checks.xml\n" +
			"  imgbuild test hello.yaml --on all-qemu --report boots.html",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.test(cmd.Context(), args[0], o) },
	}
	o.addBuild(cmd)
	o.addMachine(cmd, target.Quick, "targets and groups of targets to test on")
	o.addReports(cmd)
	c.jsonFlag(cmd)
	cmd.Flags().IntVar(&o.parallel, "parallel", 0, "machines at the same time (default: as this host carries)")
	cmd.Flags().IntVar(&o.patience, "patience", 0, "multiply the time that checks may take (default: 1, or 5 when emulated)")
	cmd.Flags().StringVarP(&o.out, "output", "o", "out", "folder of the outputs when a recipe is built")
	return cmd
}

// test tests a recipe or an image.
func (c *cli) test(ctx context.Context, arg string, o testOptions) error {
	if err := o.check(c); err != nil {
		return err
	}
	s, err := c.find(ctx, arg, o.buildOptions)
	if err != nil {
		return err
	}
	result, err := c.matrix(ctx, s, o, func(target string, run *matrix.Run) { c.tellRun(s.image, target, run) })
	if err != nil {
		return err
	}
	if c.json {
		err = writeJSON(c.stdout, result)
	} else {
		err = result.WriteText(c.stdout)
	}
	return errors.Join(err, o.write(result), result.Err())
}

// check refuses before a build what would fail after it.
func (o testOptions) check(c *cli) error {
	for flag, n := range map[string]int{"--parallel": o.parallel, "--patience": o.patience} {
		if n < 0 {
			return fault.New(fault.Usage, fmt.Errorf("%s: %d is less than nothing", flag, n), "give 1 or more, or leave it to imgbuild")
		}
	}
	if err := o.machineFlags.check(c); err != nil {
		return err
	}
	if err := writable("--report", o.report); err != nil {
		return err
	}
	return writable("--junit", o.junit)
}

// matrix makes the checks of a subject on every target, and tells of them.
func (c *cli) matrix(ctx context.Context, s subject, o testOptions, tell func(string, *matrix.Run)) (*matrix.Result, error) {
	machine, err := o.machineFlags.options(c, s)
	if err != nil {
		return nil, err
	}
	targets, err := o.targets()
	if err != nil {
		return nil, err
	}
	if len(s.checks) == 0 {
		s.checks = defaultChecks(s.ports)
	}
	machine.Ports = checkedPorts(s.checks)
	return matrix.Test(ctx, matrix.Options{
		Machine: machine, Targets: targets, Checks: vm.Checks{List: s.checks}, Parallel: o.parallel, Patience: o.patience, Tell: tell,
	})
}

// tellRun says on stderr how far a test has come.
func (c *cli) tellRun(image, target string, run *matrix.Run) {
	switch {
	case run == nil:
		fmt.Fprintf(c.stderr, "imgbuild: testing %s on %s\n", image, target)
	case run.OK():
		fmt.Fprintf(c.stderr, "imgbuild: %s: %d checks succeeded\n", target, len(run.Results))
	default:
		fmt.Fprintf(c.stderr, "imgbuild: %s: %s\n", target, failedChecks(run))
	}
}

// failedChecks names the checks of a run that failed.
func failedChecks(run *matrix.Run) string {
	var failed []string
	for _, res := range run.Results {
		if !res.OK {
			failed = append(failed, res.Check)
		}
	}
	return strings.Join(failed, " and ") + " failed"
}

// defaultChecks are for a recipe without any: its ports must take connections,
// or the app must at least be started.
func defaultChecks(ports []int) []recipes.Check {
	var checks []recipes.Check
	for _, p := range ports {
		checks = append(checks, recipes.Check{TCP: &recipes.TCPCheck{Port: p}})
	}
	if len(checks) == 0 {
		checks = []recipes.Check{{Console: &recipes.ConsoleCheck{Match: "^imgbuild: started "}}}
	}
	return checks
}

// checkedPorts are the ports of the guest that checks want to reach; free
// ports lead to them.
func checkedPorts(checks []recipes.Check) []vm.Forward {
	var ports []vm.Forward
	for _, c := range checks {
		port := 0
		switch {
		case c.HTTP != nil:
			port = c.HTTP.Port
		case c.TCP != nil:
			port = c.TCP.Port
		}
		f := vm.Forward{Guest: port}
		if port != 0 && !slices.Contains(ports, f) {
			ports = append(ports, f)
		}
	}
	return ports
}

// write writes the files that the flags name.
func (f *reportFlags) write(r *matrix.Result) error {
	return errors.Join(writeReport(f.junit, r.WriteJUnit), writeReport(f.report, r.WriteHTML))
}

// writeReport writes a file whole, or not at all. An empty path is none.
func writeReport(path string, write func(io.Writer) error) error {
	if path == "" {
		return nil
	}
	f, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o644))
	if err != nil {
		return fault.New(fault.Environment, fmt.Errorf("writing the report: %w", err))
	}
	defer f.Cleanup()
	if err := write(f); err != nil {
		return err
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return fault.New(fault.Environment, fmt.Errorf("writing the report: %w", err))
	}
	return nil
}
