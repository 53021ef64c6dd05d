package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/recipes"
	"github.com/imgbuild/imgbuild/vm"
)

// testOptions are the flags of `imgbuild test`.
type testOptions struct {
	buildOptions
	machineFlags
	roads []string
	junit string
}

// tested is the result of a test for machines.
type tested struct {
	Image string    `json:"image"`
	OK    bool      `json:"ok"`
	Runs  []testRun `json:"runs"`
}

// testRun is the test by one road.
type testRun struct {
	Boot string `json:"boot"`
	*vm.Report
}

func (c *cli) testCommand() *cobra.Command {
	var o testOptions
	cmd := &cobra.Command{
		Use:   "test RECIPE|IMAGE",
		Short: "Boot an appliance and make the recipe's checks",
		Long: `Test boots an image, or builds a recipe and boots the result, makes the checks
of the recipe's test list, and switches the machine off by its power button. It
does so once for each road given by --boot. An image is tested with the checks
that NAME.json beside it holds. Without any check, the app's ports must take
connections. The guest's disk is not changed. A failed check ends in exit code 6.`,
		Example: "  imgbuild test hello.yaml\n  imgbuild test out/hello.qcow2 --boot uefi --junit report.xml",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return c.test(cmd.Context(), args[0], o) },
	}
	o.addBuild(cmd)
	o.addMachine(cmd)
	c.jsonFlag(cmd)
	cmd.Flags().StringSliceVar(&o.roads, "boot", []string{string(vm.BIOS), string(vm.UEFI)}, "roads to boot by: bios, uefi, direct, pvh")
	cmd.Flags().StringVarP(&o.out, "output", "o", "out", "folder of the outputs when a recipe is built")
	cmd.Flags().StringVar(&o.junit, "junit", "", "write the report as JUnit XML to this file")
	return cmd
}

// test tests by each road, one after the other: two emulated machines at once
// would spoil each other's times.
func (c *cli) test(ctx context.Context, arg string, o testOptions) error {
	if err := o.check(c); err != nil {
		return err
	}
	t, err := c.find(ctx, arg, o.buildOptions)
	if err != nil {
		return err
	}
	if len(t.checks) == 0 {
		t.checks = defaultChecks(t.ports)
	}
	result := tested{Image: t.image}
	made, failed := 0, 0
	for _, road := range o.roads {
		o.boot = road
		report, err := c.testBy(ctx, t, o)
		if err != nil {
			return err
		}
		for _, check := range report.Results {
			made++
			if !check.OK {
				failed++
			}
		}
		result.Runs = append(result.Runs, testRun{road, report})
		if !c.json {
			fmt.Fprintf(c.stdout, "%s by %s\n", t.image, road)
			if err := report.WriteTable(c.stdout); err != nil {
				return err
			}
			fmt.Fprintln(c.stdout)
		}
	}
	result.OK = failed == 0
	if c.json {
		if err := writeJSON(c.stdout, result); err != nil {
			return err
		}
	}
	if o.junit != "" {
		if err := result.writeJUnit(o.junit); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fault.New(fault.Check, fmt.Errorf("%d of %d checks of %s failed", failed, made, t.image))
	}
	return nil
}

// check refuses before a build what would fail after it.
func (o testOptions) check(c *cli) error {
	if len(o.roads) == 0 || slices.Contains(o.roads, "") {
		return fault.New(fault.Usage, fmt.Errorf("--boot names no road"), "choose from bios, uefi, direct and pvh")
	}
	for _, road := range o.roads {
		o.boot = road
		if err := o.machineFlags.check(c); err != nil {
			return err
		}
	}
	return writable("--junit", o.junit)
}

// testBy boots the target by one road and makes its checks.
func (c *cli) testBy(ctx context.Context, t target, o testOptions) (*vm.Report, error) {
	opts, err := o.machineFlags.options(c, t)
	if err != nil {
		return nil, err
	}
	opts.Ports = checkedPorts(t.checks)
	m, err := vm.New(opts)
	if err != nil {
		return nil, err
	}
	r, err := m.Start(ctx)
	if err != nil {
		return nil, err
	}
	defer r.Kill()
	fmt.Fprintf(c.stderr, "imgbuild: testing %s by %s\n", t.image, o.boot)
	report := r.Check(ctx, vm.Checks{List: t.checks})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if report.Err() == nil {
		report.Results = append(report.Results, powerOff(ctx, r))
		report.Timeline = r.Timeline()
	}
	return report, nil
}

// powerOff is the last check of each test: the guest ends in order.
func powerOff(ctx context.Context, r *vm.Running) vm.Result {
	started := time.Now()
	err := r.Stop(ctx)
	result := vm.Result{Check: "power off", OK: err == nil, Elapsed: r.Now().Wall}
	if err != nil {
		result.Detail = err.Error()
		return result
	}
	result.Detail = fmt.Sprintf("in order, within %.1f s", time.Since(started).Seconds())
	return result
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

func (t tested) writeJUnit(path string) error {
	var suites []vm.Suite
	for _, r := range t.Runs {
		suites = append(suites, vm.Suite{Name: t.Image + " by " + r.Boot, Report: r.Report})
	}
	f, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o644))
	if err != nil {
		return fault.New(fault.Environment, fmt.Errorf("writing the report: %w", err))
	}
	defer f.Cleanup()
	if err := vm.WriteJUnit(f, suites...); err != nil {
		return err
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return fault.New(fault.Environment, fmt.Errorf("writing the report: %w", err))
	}
	return nil
}
