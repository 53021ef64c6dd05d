package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/imgbuild/imgbuild/vm"
	"github.com/imgbuild/imgbuild/vm/keep"
)

// machinesDir is the folder of the machines in the background.
func (c *cli) machinesDir() (string, error) {
	cache, err := c.cache()
	if err != nil {
		return "", err
	}
	dir, err := filepath.Abs(filepath.Join(cache, "machines"))
	if err != nil {
		return "", fmt.Errorf("finding the folder of machines: %w", err)
	}
	return dir, nil
}

func (c *cli) psCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ps",
		Short: "List the machines in the background",
		Long: `Ps lists the machines that ` + "`imgbuild run --detach`" + ` started. Those that have ended
are listed for a day, for their logs: "ended" ones by themselves or by an order,
"dead" ones because somebody killed them.`,
		Example: "  imgbuild ps\n  imgbuild ps --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := c.machinesDir()
			if err != nil {
				return err
			}
			list, err := keep.List(dir)
			if err != nil {
				return err
			}
			if c.json {
				return writeJSON(c.stdout, append([]keep.Machine{}, list...)) // never null
			}
			return c.writeMachines(list)
		},
	}
	c.jsonFlag(cmd)
	return cmd
}

// writeMachines prints a table of machines.
func (c *cli) writeMachines(list []keep.Machine) error {
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATE\tTARGET\tACCEL\tSTARTED\tPORTS\tIMAGE")
	for _, m := range list {
		started := "-"
		if !m.Started.IsZero() {
			started = m.Started.Local().Format(time.DateTime)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.ID, stateText(m), m.Target, m.Accel, started, portsText(m.Ports), m.Image)
	}
	return w.Flush()
}

// stateText is a state with what there is to know of an end.
func stateText(m keep.Machine) string {
	switch {
	case m.End == nil:
		return string(m.State)
	case m.End.Error != "":
		first, _, _ := strings.Cut(m.End.Error, "\n")
		return "ended: " + first
	case m.End.App != nil:
		return "ended: app with " + m.End.App.String()
	}
	return string(m.State)
}

func portsText(ports []vm.Forward) string {
	var words []string
	for _, p := range ports {
		words = append(words, fmt.Sprintf("%d:%d", p.Host, p.Guest))
	}
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, ",")
}

func (c *cli) logsCommand() *cobra.Command {
	follow := false
	cmd := &cobra.Command{
		Use:   "logs ID",
		Short: "Print what a machine in the background wrote to its console",
		Long: `Logs prints the console of a machine that ` + "`imgbuild run --detach`" + ` started: the last
16 MiB at most. With --follow it goes on until the machine ends.`,
		Example: "  imgbuild logs hello-1\n  imgbuild logs -f hello-1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m, err := c.machine(args[0])
			if err != nil {
				return err
			}
			return m.Logs(cmd.Context(), c.stdout, follow)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the machine ends")
	return cmd
}

// machine finds a machine by its ID.
func (c *cli) machine(id string) (keep.Machine, error) {
	dir, err := c.machinesDir()
	if err != nil {
		return keep.Machine{}, err
	}
	return keep.Find(dir, id)
}

func (c *cli) stopCommand() *cobra.Command {
	now := false
	cmd := &cobra.Command{
		Use:   "stop ID...",
		Short: "Switch machines in the background off",
		Long: `Stop presses the power button of each machine and waits until it is off. A guest
that does not power off has its plug pulled after 30 seconds, which ends in exit
code 6. A machine that has ended already is forgotten, and its log with it.`,
		Example: "  imgbuild stop hello-1\n  imgbuild stop --now hello-1 hello-2",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.stop(cmd.Context(), args, now)
		},
	}
	c.jsonFlag(cmd)
	cmd.Flags().BoolVar(&now, "now", false, "pull the plug instead")
	return cmd
}

// stop stops machines at the same time, or forgets them.
func (c *cli) stop(ctx context.Context, ids []string, now bool) error {
	machines := make([]keep.Machine, len(ids))
	for i, id := range ids {
		var err error
		if machines[i], err = c.machine(id); err != nil {
			return err
		}
	}
	type outcome struct {
		i   int
		m   keep.Machine
		err error
	}
	outcomes := make(chan outcome)
	for i, m := range machines {
		go func() {
			if m.State == keep.Ended || m.State == keep.Dead {
				outcomes <- outcome{i, m, m.Forget()}
				return
			}
			stopped, err := m.Stop(ctx, now)
			outcomes <- outcome{i, stopped, err}
		}()
	}
	errs := make([]error, len(machines))
	for range machines {
		o := <-outcomes
		machines[o.i] = o.m
		if o.err != nil {
			errs[o.i] = fmt.Errorf("stopping %s: %w", o.m.ID, o.err)
		} else if !c.json {
			fmt.Fprintln(c.stdout, o.m.ID)
		}
	}
	var err error
	if c.json {
		err = writeJSON(c.stdout, machines)
	}
	return errors.Join(append(errs, err)...)
}

// detach starts a machine in the background.
func (c *cli) detach(ctx context.Context, target string, o vm.Options) error {
	dir, err := c.machinesDir()
	if err != nil {
		return err
	}
	paths := []*string{&o.Disk, &o.Cache}
	if o.Second.Path != "" {
		paths = append(paths, &o.Second.Path)
	}
	for _, path := range paths {
		if *path, err = filepath.Abs(*path); err != nil {
			return fmt.Errorf("finding %s: %w", *path, err)
		}
	}
	m, err := keep.Start(ctx, dir, keep.Spec{Name: stem(o.Disk), Target: target, Options: o})
	if err != nil {
		return err
	}
	if c.json {
		return writeJSON(c.stdout, m)
	}
	c.tellPorts(m.Ports)
	_, err = fmt.Fprintln(c.stdout, m.ID)
	return err
}

// stem is the name of a file without what follows its first dot, which a
// machine is called by.
func stem(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	if name == "" {
		return "machine"
	}
	return name
}
