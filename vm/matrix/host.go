package matrix

import (
	"bufio"
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/imgbuild/imgbuild/recipes"
	"github.com/imgbuild/imgbuild/vm"
	"github.com/imgbuild/imgbuild/vm/target"
)

// What a machine takes of the host beside its guest's memory, in bytes. Under
// emulation QEMU keeps translated code: up to 1 GiB by default.
const (
	kvmOverhead = 128 << 20
	tcgOverhead = 1 << 30
)

// EmulatedPatience is by how much more time an emulated guest gets. A JVM was
// seen to take 24 times as long for its first answer, of which most is spent
// beside other work.
const EmulatedPatience = 5

// fit fills in what depends on this host.
func (o *Options) fit(ctx context.Context) error {
	accel := o.Machine.Accel
	if accel == "" || accel == vm.Auto {
		var err error
		if accel, _, err = vm.Probe(ctx, o.Machine.QEMU, o.Machine.Cache); err != nil {
			return err
		}
	}
	if o.Patience < 1 {
		o.Patience = 1
		if accel != vm.KVM {
			o.Patience = EmulatedPatience
		}
	}
	if o.Machine.StopTimeout == 0 {
		o.Machine.StopTimeout = vm.DefaultStopTimeout
	}
	o.Machine.StopTimeout *= time.Duration(o.Patience)
	if o.Parallel < 1 {
		o.Parallel = parallel(o.Machine, o.Targets, accel)
	}
	return nil
}

// parallel returns how many machines this host carries at the same time, at
// least one, when each is like the largest of the targets: one on Xen has dom0
// beside its guest. A machine needs its processors, and one more when these are
// emulated: translation, devices and the network are work then.
func parallel(o vm.Options, targets []target.Target, accel vm.Accel) int {
	cpus, memory := 1, int64(0)
	for _, t := range targets {
		c, m := t.Fill(o).Size()
		cpus, memory = max(cpus, c), max(memory, m)
	}
	return share(runtime.NumCPU(), available(), cpus, memory, accel)
}

// patient returns the checks with more time for each.
func patient(list []recipes.Check, patience int) []recipes.Check {
	more := func(d recipes.Duration) recipes.Duration {
		if d <= 0 {
			d = recipes.DefaultWithin
		}
		return d * recipes.Duration(patience)
	}
	var out []recipes.Check
	for _, c := range list {
		switch {
		case c.HTTP != nil:
			h := *c.HTTP
			c.HTTP, h.Within = &h, more(h.Within)
		case c.TCP != nil:
			t := *c.TCP
			c.TCP, t.Within = &t, more(t.Within)
		case c.Console != nil:
			l := *c.Console
			c.Console, l.Within = &l, more(l.Within)
		case c.Exit != nil:
			e := *c.Exit
			c.Exit, e.Within = &e, more(e.Within)
		case c.Listen != nil:
			l := *c.Listen
			c.Listen, l.Within = &l, more(l.Within)
		case c.Boot != nil:
			b := *c.Boot
			c.Boot, b.Within = &b, more(b.Within)
		}
		out = append(out, c)
	}
	return out
}

// share divides a host's processors and memory by what a machine takes. An
// unknown memory, 0, does not count.
func share(hostCPUs int, hostMemory int64, cpus int, memory int64, accel vm.Accel) int {
	memory += kvmOverhead
	if accel != vm.KVM {
		memory += tcgOverhead - kvmOverhead
		cpus++
	}
	n := hostCPUs / cpus
	if hostMemory > 0 {
		n = min(n, int(hostMemory/memory))
	}
	return max(1, n)
}

// available returns the memory that the host can give without swapping, in
// bytes (proc(5), MemAvailable); 0 when it does not tell.
func available() int64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), "MemAvailable:")
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		if err != nil {
			return 0
		}
		return n << 10
	}
	return 0
}
