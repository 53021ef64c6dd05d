package sandbox

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// onOneCPU binds what is started to one processor (sched_setaffinity(2)): that
// before which stand n of those that may be used, counted round and round. A
// program inherits that from the thread that starts it, which must be the
// caller's own.
func onOneCPU(n int, start func() error) func() error {
	return func() error {
		var all, one unix.CPUSet
		if err := unix.SchedGetaffinity(0, &all); err != nil {
			return fmt.Errorf("asking for the processors: %w", err)
		}
		cpu := 0
		for left := n % all.Count(); left > 0 || !all.IsSet(cpu); cpu++ {
			if all.IsSet(cpu) {
				left--
			}
		}
		one.Set(cpu)
		if err := unix.SchedSetaffinity(0, &one); err != nil {
			return fmt.Errorf("choosing a processor: %w", err)
		}
		defer unix.SchedSetaffinity(0, &all)
		return start()
	}
}
