package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/vm"
	"github.com/imgbuild/imgbuild/vm/target"
)

// runOptions are the flags of `imgbuild run`.
type runOptions struct {
	buildOptions
	machineFlags
	ports  []string
	write  bool
	data   string
	detach bool
}

func (c *cli) runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run RECIPE|IMAGE",
		Short: "Boot an appliance here, in QEMU",
		Long: `Run boots an image, or builds a recipe and boots the result. The console goes
to stdout. The ports of the recipe are reached on 127.0.0.1. Ctrl-C presses the
power button; a second Ctrl-C pulls the plug. What the guest writes to its disk
is lost at the end unless --write is given. A recipe whose data are on a second
disk gets a blank one, which is lost too: --data keeps it.

With --detach the machine goes on in the background, and its ID is printed:
` + "`imgbuild ps`, `logs` and `stop`" + ` take over.

KVM is used when a canary guest shows that it works, else emulation. The machine
is one of these targets; flags replace parts of it:

` + target.Help(),
		Example: "  imgbuild run hello.yaml -p 18080:8080\n  imgbuild run out/hello.qcow2 --on uefi --memory 128MiB\n" +
			"  imgbuild run -d hello.yaml",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), args[0], o) },
	}
	o.addBuild(cmd)
	o.addMachine(cmd, "bios", "the target to boot on, such as bios, uefi or vmware")
	cmd.Flags().StringVarP(&o.out, "output", "o", "out", "folder of the outputs when a recipe is built")
	cmd.Flags().StringArrayVarP(&o.ports, "publish", "p", nil, "lead a port here to a port of the guest: 18080:8080; 0:8080 picks a free one")
	cmd.Flags().BoolVar(&o.write, "write", false, "let the guest change the image")
	cmd.Flags().StringVar(&o.data, "data", "", "a raw image that is the second disk, which the guest changes; made when it is not there")
	cmd.Flags().BoolVarP(&o.detach, "detach", "d", false, "run in the background and print the machine's ID")
	c.jsonFlag(cmd)
	return cmd
}

func (c *cli) run(ctx context.Context, arg string, o runOptions) error {
	if err := o.machineFlags.check(c); err != nil {
		return err
	}
	targets, err := o.targets()
	if err == nil && len(targets) > 1 {
		err = fault.New(fault.Usage, fmt.Errorf("--on: one machine is run, and %s are %d targets", strings.Join(o.on, ","), len(targets)),
			"name one target, or use `imgbuild test`")
	}
	if err != nil {
		return err
	}
	if _, err := forwards(o.ports, nil); err != nil {
		return err
	}
	if c.json && !o.detach {
		return fault.New(fault.Usage, errors.New("--json: what a machine writes is no JSON"), "add --detach")
	}
	s, err := c.find(ctx, arg, o.buildOptions)
	if err != nil {
		return err
	}
	opts, err := o.machineFlags.options(c, s)
	if err != nil {
		return err
	}
	opts.Write = o.write
	opts.Second.Path = o.data
	if opts.Ports, err = forwards(o.ports, s.ports); err != nil {
		return err
	}
	opts = targets[0].Fill(opts)
	if o.detach {
		return c.detach(ctx, targets[0].Name, opts)
	}
	return c.runHere(ctx, opts)
}

// runHere runs a machine until it ends, or is told to.
func (c *cli) runHere(ctx context.Context, opts vm.Options) error {
	opts.Console = c.stdout
	m, err := vm.New(opts)
	if err != nil {
		return err
	}
	// The machine outlives an interrupt long enough to stop in order.
	return m.Run(context.WithoutCancel(ctx), func(r *vm.Running) error {
		accel, why := r.Accel()
		why, _, _ = strings.Cut(why, "\n")
		fmt.Fprintf(c.stderr, "imgbuild: booting %s by %s (%s)\n", opts.Disk, accel, why)
		c.tellPorts(r.Ports())
		return c.attend(ctx, r)
	})
}

// tellPorts says where the ports of a guest are.
func (c *cli) tellPorts(ports []vm.Forward) {
	for _, p := range ports {
		fmt.Fprintf(c.stderr, "imgbuild: 127.0.0.1:%d leads to port %d of the guest\n", p.Host, p.Guest)
	}
}

// stopGrace is how much longer an interrupted run waits for the guest to stop
// than the machine itself, which pulls the plug then.
const stopGrace = 10 * time.Second

// attend waits for the end of a machine, and stops it when ctx ends.
func (c *cli) attend(ctx context.Context, r *vm.Running) error {
	select {
	case <-r.Done():
	case <-ctx.Done():
		fmt.Fprintln(c.stderr, "imgbuild: stopping")
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.StopTimeout()+stopGrace)
		defer cancel()
		if err := r.Stop(stop); err != nil {
			return err
		}
		return fault.New(fault.Interrupted, reported{errors.New("interrupted")})
	}
	exit, err := r.Wait(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	if exit.App != nil && !exit.App.OK() {
		return fault.New(fault.Check, fmt.Errorf("the app ended with %s", exit.App))
	}
	return nil
}
