// Boot compares how soon two machines answer their first HTTP request.
//
// It boots A and B in turn, so that what else happens on the host falls on
// both, and prints for each the median of wall time and of QEMU's processor
// time up to the first answer with status 200, and the ratios. The guest is
// asked only after its console shows the line that -ready matches: QEMU
// accepts connections before a guest listens.
//
//	boot -rounds 4 -port 8080 -ready listening \
//	    -a-disk hello.raw -a-boot pvh \
//	    -b-disk debian.raw -b-kernel vmlinuz -b-initramfs initrd.img \
//	    -b-cmdline 'root=/dev/vda rw net.ifnames=0 console=ttyS0 quiet'
//
// Under emulation the figures say so: processor work weighs far more there
// than on hardware.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/imgbuild/imgbuild/recipes"
	"github.com/imgbuild/imgbuild/vm"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "boot:", err)
		os.Exit(1)
	}
}

// series is a machine and what was measured of it.
type series struct {
	name    string
	options vm.Options
	moments []vm.Moment // of the first answer, by round
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var (
		flags   = flag.NewFlagSet("boot", flag.ContinueOnError)
		a, b    = &series{name: "A"}, &series{name: "B"}
		rounds  = flags.Int("rounds", 4, "how often to boot each")
		port    = flags.Int("port", 8080, "TCP port of the guest to ask")
		page    = flags.String("path", "/", "path to get")
		ready   = flags.String("ready", "", "pattern of the console line that says the app listens (default: init's line)")
		memory  = flags.Int64("memory", 1024, "memory of each guest, in MiB")
		cpus    = flags.Int("cpus", 2, "processors of each guest")
		accel   = flags.String("accel", "auto", "auto, kvm or tcg")
		timeout = flags.Duration("timeout", 5*time.Minute, "for one boot")
	)
	machine(flags, "a-", &a.options)
	machine(flags, "b-", &b.options)
	if err := flags.Parse(args); err != nil {
		return err
	}
	checks := vm.Checks{List: []recipes.Check{{HTTP: &recipes.HTTPCheck{
		Port: *port, Path: *page, Status: 200, Within: recipes.Duration(*timeout),
	}}}}
	if *ready != "" {
		pattern, err := regexp.Compile(*ready)
		if err != nil {
			return fmt.Errorf("reading -ready: %w", err)
		}
		checks.Ready = pattern
	}
	for _, s := range []*series{a, b} {
		s.options.Memory, s.options.CPUs = *memory<<20, *cpus
		s.options.Accel = vm.Accel(*accel)
		s.options.Ports = []vm.Forward{{Guest: *port}}
	}
	used := vm.Accel("")
	for round := range *rounds {
		for _, s := range []*series{a, b} {
			var err error
			if used, err = s.boot(ctx, checks); err != nil {
				return fmt.Errorf("booting %s: %w", s.name, err)
			}
			m := s.moments[round]
			fmt.Fprintf(out, "round %d  %s  %.2f s  %.2f CPU-seconds\n", round+1, s.name, m.Wall, m.CPU)
		}
	}
	return summary(out, a, b, used)
}

// machine registers the flags of one machine.
func machine(flags *flag.FlagSet, prefix string, o *vm.Options) {
	flags.StringVar(&o.Disk, prefix+"disk", "", "disk image")
	flags.StringVar((*string)(&o.Boot), prefix+"boot", "", "bios, uefi, direct or pvh")
	flags.StringVar(&o.Kernel, prefix+"kernel", "", "kernel, in place of the disk's")
	flags.StringVar(&o.Initramfs, prefix+"initramfs", "", "initramfs of that kernel")
	flags.StringVar(&o.Cmdline, prefix+"cmdline", "", "kernel command line")
	flags.StringVar((*string)(&o.Machine), prefix+"machine", "", "q35, pc or microvm")
}

// boot boots the machine once and notes its first answer.
func (s *series) boot(ctx context.Context, checks vm.Checks) (vm.Accel, error) {
	m, err := vm.New(s.options)
	if err != nil {
		return "", err
	}
	r, err := m.Start(ctx)
	if err != nil {
		return "", err
	}
	defer func() {
		r.Kill()
		<-r.Done()
	}()
	report := r.Check(ctx, checks)
	if err := report.Err(); err != nil {
		return "", err
	}
	s.moments = append(s.moments, *report.Timeline.Answered)
	return report.Accel, nil
}

// summary prints medians with their range, and how B compares to A.
func summary(out io.Writer, a, b *series, accel vm.Accel) error {
	if len(a.moments) == 0 {
		return errors.New("no rounds were asked for")
	}
	how := string(accel)
	if accel == vm.TCG {
		how = "emulated"
	}
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "\nto the first answer (%s)\tA\tB\tB/A\n", how)
	for _, row := range []struct {
		name string
		of   func(vm.Moment) float64
	}{
		{"wall, seconds", func(m vm.Moment) float64 { return m.Wall }},
		{"QEMU CPU-seconds", func(m vm.Moment) float64 { return m.CPU }},
	} {
		ma, mb := spread(a.moments, row.of), spread(b.moments, row.of)
		fmt.Fprintf(tw, "%s\t%v\t%v\t%.1f\n", row.name, ma, mb, mb.median/ma.median)
	}
	return tw.Flush()
}

// stats are the median and the range of a measure.
type stats struct{ least, median, most float64 }

func (s stats) String() string { return fmt.Sprintf("%.2f (%.2f-%.2f)", s.median, s.least, s.most) }

func spread(moments []vm.Moment, of func(vm.Moment) float64) stats {
	sorted := slices.SortedFunc(func(yield func(float64) bool) {
		for _, m := range moments {
			if !yield(of(m)) {
				return
			}
		}
	}, cmp.Compare)
	n := len(sorted)
	return stats{sorted[0], (sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[n-1]}
}
