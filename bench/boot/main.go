// Boot compares how soon machines answer their first HTTP request, or come to a
// line on their console.
//
// It boots a baseline and the given disks in turn, so that what else happens on
// the host falls on all of them, and prints for each the median of wall time
// and of QEMU's processor time up to the first answer with status 200, with
// their ranges, and how many times that of the baseline is. Each disk is
// compared with the baseline by the same road: from its kernel for direct and
// pvh, from its own boot loader for bios and uefi. A guest is asked only after
// its console shows the line that -ready matches: QEMU accepts connections
// before a guest listens.
//
//	boot -rounds 4 -port 8080 -ready listening \
//	    -disk debian.raw -kernel vmlinuz -initramfs initrd.img \
//	    -cmdline 'root=/dev/vda ro net.ifnames=0 console=ttyS0 quiet' \
//	    bios:hello.raw direct:hello.raw uefi/nvme:hello.raw
//
// A disk is given as TARGET:FILE, with a target of `imgbuild test --on`, or as
// TARGET/BUS:FILE with another bus for its disk. On Xen the time begins when xl
// has created the guest. A target of -alone has no baseline: that lacks its
// drivers, and the rows of these targets have no ratio. Without any disk, only
// the baseline is booted; an answer that does not come within -timeout ends the
// program with status 1. With -load, the guest is asked by several clients after
// its first answer, and the median of its answers a second is shown too. With -until, the moment is that of the first line that
// the pattern matches, and no port is asked.
//
// Under emulation the figures say so: processor work weighs far more there
// than on hardware.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/imgbuild/imgbuild/recipes"
	"github.com/imgbuild/imgbuild/vm"
	"github.com/imgbuild/imgbuild/vm/target"
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
	base    *series     // what it is compared with: itself, for a baseline; nil for none
	moments []vm.Moment // of the first answer, by round
	rates   []rate      // under load, by round
	spent   []spent     // by round, when init told
}

// question is what a guest is asked, and after which line of its console.
type question struct {
	loading
	ready, until string // patterns
	timeout      time.Duration
}

// checks returns the check that ends a boot, and what it measures.
func (q question) checks() (checks vm.Checks, what string, err error) {
	within := recipes.Duration(q.timeout)
	check := recipes.Check{HTTP: &recipes.HTTPCheck{Port: q.port, Path: q.page, Status: 200, Within: within}}
	what = "to the first answer"
	switch {
	case q.until != "":
		check, what = recipes.Check{Console: &recipes.ConsoleCheck{Match: q.until, Within: within}}, "to the line"
	case q.send != "":
		check = recipes.Check{TCP: &recipes.TCPCheck{Port: q.port, Send: q.send, Expect: regexp.QuoteMeta(q.expect), Within: within}}
	}
	checks.List = []recipes.Check{check}
	if q.ready != "" {
		if checks.Ready, err = regexp.Compile(q.ready); err != nil {
			return checks, "", fmt.Errorf("reading -ready: %w", err)
		}
	}
	return checks, what, nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var (
		flags  = flag.NewFlagSet("boot", flag.ContinueOnError)
		base   vm.Options
		q      question
		rounds = flags.Int("rounds", 4, "how often to boot each")
		alone  = flags.String("alone", "microvm,ec2,vmware,vmware-lsi,virtualbox,ide", "targets that the baseline is not booted on")
		memory = flags.Int64("memory", 1024, "memory of each guest, in MiB")
		cpus   = flags.Int("cpus", 2, "processors of each guest")
		accel  = flags.String("accel", "auto", "auto, kvm or tcg")
	)
	flags.IntVar(&q.port, "port", 8080, "TCP port of the guest to ask")
	flags.StringVar(&q.page, "path", "/", "path to get")
	flags.StringVar(&q.send, "send", "", "text to send down a connection, instead of getting a page")
	flags.StringVar(&q.expect, "expect", "", "text in the answer to it")
	flags.StringVar(&q.ready, "ready", "", "pattern of the console line that says the app listens (default: init's line)")
	flags.StringVar(&q.until, "until", "", "pattern of a console line to come to, instead of an answer")
	flags.DurationVar(&q.timeout, "timeout", 5*time.Minute, "for one boot")
	flags.DurationVar(&q.span, "load", 0, "ask the booted guest for so long, and tell how many answers a second it gave")
	flags.DurationVar(&q.warm, "warm", 10*time.Second, "ask it for so long before that")
	flags.IntVar(&q.clients, "clients", 8, "how many ask at the same time")
	flags.StringVar(&base.Disk, "disk", "", "disk image of the baseline")
	flags.StringVar(&base.Kernel, "kernel", "", "its kernel")
	flags.StringVar(&base.Initramfs, "initramfs", "", "its initramfs")
	flags.StringVar(&base.Cmdline, "cmdline", "", "its kernel command line")
	if err := flags.Parse(args); err != nil {
		return err
	}
	checks, what, err := q.checks()
	if err != nil {
		return err
	}
	all, err := machines(base, flags.Args(), strings.Split(*alone, ","))
	if err != nil {
		return err
	}
	for _, s := range all {
		s.options.Memory, s.options.CPUs, s.options.Accel = *memory<<20, *cpus, vm.Accel(*accel)
		s.options.Ports = []vm.Forward{{Guest: q.port}}
	}
	used := vm.Accel("")
	for round := range *rounds {
		for _, s := range all {
			if used, err = s.boot(ctx, checks, q.loading); err != nil {
				return fmt.Errorf("booting %s: %w", s.name, err)
			}
			m := s.moments[round]
			fmt.Fprintf(out, "round %d  %6.2f s  %6.2f CPU-seconds", round+1, m.Wall, m.CPU)
			if q.span > 0 {
				fmt.Fprintf(out, "  %7.1f answers a second, %7.1f a CPU-second", s.rates[round].second, s.rates[round].cpuSecond)
			}
			fmt.Fprintf(out, "  %s\n", s.name)
		}
	}
	return summary(out, what, all, used)
}

// machines returns the disks in the order given, each behind its baseline.
func machines(base vm.Options, disks, alone []string) ([]*series, error) {
	if len(disks) == 0 {
		disks = []string{string(vm.Direct) + ":"}
	}
	var all []*series
	bases := map[string]*series{}
	for _, arg := range disks {
		road, file, ok := strings.Cut(arg, ":")
		if !ok {
			return nil, fmt.Errorf("%q is not of the form TARGET:FILE, such as bios:hello.raw", arg)
		}
		name, bus, _ := strings.Cut(road, "/")
		found, err := target.Find(name)
		if err != nil {
			return nil, err
		}
		if len(found) != 1 {
			return nil, fmt.Errorf("%q is not one target", name)
		}
		machine := found[0].Fill(vm.Options{Disk: file, Bus: vm.Bus(bus)})
		like := strings.Replace(road, string(vm.PVH), string(vm.Direct), 1)
		if machine.Boot != vm.PVH {
			like = road
		}
		if bases[like] == nil && !slices.Contains(alone, name) {
			bases[like] = baseline(base, machine, like)
			all = append(all, bases[like])
		}
		if file != "" {
			all = append(all, &series{name: filepath.Base(file) + ", " + road, options: machine, base: bases[like]})
		}
	}
	return all, nil
}

// onXen makes a command line that of a guest on Xen: another name for the same
// console.
var onXen = strings.NewReplacer("console=ttyS0", "console=hvc0")

// baseline is the baseline on a machine like that of a disk. A boot loader
// brings its own kernel; QEMU enters that of the baseline as bzImage.
func baseline(o, like vm.Options, road string) *series {
	switch like.Boot {
	case vm.PVH:
		like.Boot = vm.Direct
	case vm.Direct:
	case vm.XenPVHDirect, vm.XenPVDirect:
		o.Cmdline = onXen.Replace(o.Cmdline)
	default:
		o = vm.Options{Disk: o.Disk}
	}
	o.Boot, o.Machine, o.Bus, o.NIC = like.Boot, like.Machine, like.Bus, like.NIC
	s := &series{name: fmt.Sprintf("%s, %s, baseline", filepath.Base(o.Disk), road), options: o}
	s.base = s
	return s
}

// boot boots the machine once and notes its first answer, and how many there are
// under load.
func (s *series) boot(ctx context.Context, checks vm.Checks, l loading) (accel vm.Accel, err error) {
	m, err := vm.New(s.options)
	if err != nil {
		return "", err
	}
	return accel, m.Run(ctx, func(r *vm.Running) error {
		report := r.Check(ctx, checks)
		at := r.Now()
		if err := report.Err(); err != nil {
			return err
		}
		if answered := report.Timeline.Answered; answered != nil {
			at = *answered
		}
		if created := report.Timeline.Created; created != nil {
			at.Wall, at.CPU = at.Wall-created.Wall, at.CPU-created.CPU
		}
		s.moments = append(s.moments, at)
		s.spent = append(s.spent, spending(report.Timeline)...)
		accel = report.Accel
		if l.span == 0 {
			return nil
		}
		addr, _ := r.Addr(l.port)
		got, err := l.run(ctx, addr, func() float64 { return r.Now().CPU })
		s.rates = append(s.rates, got)
		return err
	})
}
