// Boot compares how soon machines answer their first HTTP request.
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
//	    -cmdline 'root=/dev/vda rw net.ifnames=0 console=ttyS0 quiet' \
//	    bios:hello.raw direct:hello.raw pvh:hello.raw
//
// A disk is given as ROAD:FILE, with the road bios, uefi, direct or pvh, or one
// on Xen: xen-pvh-direct, xen-pv-direct and so on. There the time begins when xl
// has created the guest.
// Without any, only the baseline is booted; an answer that does not come within
// -timeout ends the program with status 1.
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
	"strings"
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
	base    *series     // what it is compared with; itself, for a baseline
	moments []vm.Moment // of the first answer, by round
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var (
		flags   = flag.NewFlagSet("boot", flag.ContinueOnError)
		base    vm.Options
		rounds  = flags.Int("rounds", 4, "how often to boot each")
		port    = flags.Int("port", 8080, "TCP port of the guest to ask")
		page    = flags.String("path", "/", "path to get")
		ready   = flags.String("ready", "", "pattern of the console line that says the app listens (default: init's line)")
		memory  = flags.Int64("memory", 1024, "memory of each guest, in MiB")
		cpus    = flags.Int("cpus", 2, "processors of each guest")
		machine = flags.String("machine", "q35", "q35 or pc")
		accel   = flags.String("accel", "auto", "auto, kvm or tcg")
		timeout = flags.Duration("timeout", 5*time.Minute, "for one boot")
	)
	flags.StringVar(&base.Disk, "disk", "", "disk image of the baseline")
	flags.StringVar(&base.Kernel, "kernel", "", "its kernel")
	flags.StringVar(&base.Initramfs, "initramfs", "", "its initramfs")
	flags.StringVar(&base.Cmdline, "cmdline", "", "its kernel command line")
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
	all, err := machines(base, flags.Args())
	if err != nil {
		return err
	}
	for _, s := range all {
		s.options.Memory, s.options.CPUs = *memory<<20, *cpus
		s.options.Accel, s.options.Machine = vm.Accel(*accel), vm.MachineType(*machine)
		s.options.Ports = []vm.Forward{{Guest: *port}}
	}
	used := vm.Accel("")
	for round := range *rounds {
		for _, s := range all {
			if used, err = s.boot(ctx, checks); err != nil {
				return fmt.Errorf("booting %s: %w", s.name, err)
			}
			m := s.moments[round]
			fmt.Fprintf(out, "round %d  %6.2f s  %6.2f CPU-seconds  %s\n", round+1, m.Wall, m.CPU, s.name)
		}
	}
	return summary(out, all, used)
}

// machines returns the disks in the order given, each behind its baseline.
func machines(base vm.Options, disks []string) ([]*series, error) {
	if len(disks) == 0 {
		return []*series{baseline(base, vm.Direct)}, nil
	}
	var all []*series
	bases := map[vm.Boot]*series{}
	for _, arg := range disks {
		name, file, ok := strings.Cut(arg, ":")
		if !ok {
			return nil, fmt.Errorf("%q is not of the form ROAD:FILE, such as bios:hello.raw", arg)
		}
		road := vm.Boot(name)
		like := road
		if road == vm.PVH {
			like = vm.Direct
		}
		if bases[like] == nil {
			bases[like] = baseline(base, like)
			all = append(all, bases[like])
		}
		all = append(all, &series{
			name:    filepath.Base(file) + ", " + name,
			options: vm.Options{Disk: file, Boot: road},
			base:    bases[like],
		})
	}
	return all, nil
}

// onXen makes a command line that of a guest on Xen: other names for the same
// disk and console.
var onXen = strings.NewReplacer("/dev/vda", "/dev/xvda", "console=ttyS0", "console=hvc0")

// baseline is the baseline by one road. A boot loader brings its own kernel.
func baseline(o vm.Options, road vm.Boot) *series {
	switch road {
	case vm.Direct:
	case vm.XenPVHDirect, vm.XenPVDirect:
		o.Cmdline = onXen.Replace(o.Cmdline)
	default:
		o = vm.Options{Disk: o.Disk}
	}
	o.Boot = road
	s := &series{name: fmt.Sprintf("%s, %s, baseline", filepath.Base(o.Disk), road), options: o}
	s.base = s
	return s
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
	answered, created := *report.Timeline.Answered, report.Timeline.Created
	if created != nil {
		answered.Wall, answered.CPU = answered.Wall-created.Wall, answered.CPU-created.CPU
	}
	s.moments = append(s.moments, answered)
	return report.Accel, nil
}
