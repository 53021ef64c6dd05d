package matrix

import (
	"bufio"
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/imgbuild/imgbuild/vm"
)

// What a machine takes of the host beside its guest's memory, in bytes. Under
// emulation QEMU keeps translated code: up to 1 GiB by default.
const (
	kvmOverhead = 128 << 20
	tcgOverhead = 1 << 30
)

// Parallel returns how many machines like o the host carries at the same time,
// at least one. Each needs its guest's processors, and one more when these are
// emulated: translation, devices and the network are work then.
func Parallel(ctx context.Context, o vm.Options) (int, error) {
	accel := o.Accel
	if accel == "" || accel == vm.Auto {
		var err error
		if accel, _, err = vm.Probe(ctx, o.QEMU, o.Cache); err != nil {
			return 0, err
		}
	}
	memory := o.Memory
	if memory == 0 {
		memory = vm.DefaultMemory
	}
	return fit(runtime.NumCPU(), available(), max(1, o.CPUs), memory, accel), nil
}

// fit divides a host's processors and memory by what a machine takes. An
// unknown memory, 0, does not count.
func fit(hostCPUs int, hostMemory int64, cpus int, memory int64, accel vm.Accel) int {
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
