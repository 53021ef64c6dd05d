package sandbox

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// A program that is started by a thread inherits what these functions change of
// it: they are called on a thread of the caller's own, and change it back.

// onOneCPU binds what is started to one processor (sched_setaffinity(2)).
func onOneCPU(start func() error) func() error {
	return func() error {
		var all, one unix.CPUSet
		if err := unix.SchedGetaffinity(0, &all); err != nil {
			return fmt.Errorf("asking for the processors: %w", err)
		}
		cpu := 0
		for !all.IsSet(cpu) {
			cpu++
		}
		one.Set(cpu)
		if err := unix.SchedSetaffinity(0, &one); err != nil {
			return fmt.Errorf("choosing a processor: %w", err)
		}
		defer unix.SchedSetaffinity(0, &all)
		return start()
	}
}

// Values of personality(2).
const (
	addrNoRandomize = 0x0040000
	personalityGet  = 0xffffffff
)

// atFixedAddresses takes the randomness out of where what is started finds its
// memory. A container's filter may forbid that; then it stays random.
func atFixedAddresses(start func() error) func() error {
	return func() error {
		now, _, errno := unix.Syscall(unix.SYS_PERSONALITY, personalityGet, 0, 0)
		if errno != 0 {
			return start()
		}
		if _, _, errno := unix.Syscall(unix.SYS_PERSONALITY, now|addrNoRandomize, 0, 0); errno != 0 {
			return start()
		}
		defer unix.Syscall(unix.SYS_PERSONALITY, now, 0, 0)
		return start()
	}
}
