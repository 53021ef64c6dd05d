package main

import (
	"errors"
	"fmt"
	"path"

	"golang.org/x/sys/unix"
)

// order is init under another name and not as PID 1: /sbin/poweroff,
// /sbin/reboot and /sbin/halt are links to it. The kernel itself runs the
// first two when the hypervisor asks for an end, on Xen (xl shutdown) and on
// Hyper-V. It passes the order on to PID 1 and is done.
func order(name string) error {
	var signal unix.Signal
	switch path.Base(name) {
	case "poweroff", "shutdown":
		signal = unix.SIGUSR2
	case "reboot":
		signal = unix.SIGINT
	case "halt":
		signal = unix.SIGUSR1
	default:
		return errors.New("init is for PID 1; as poweroff, reboot or halt it passes the order on to PID 1")
	}
	if err := unix.Kill(1, signal); err != nil {
		return fmt.Errorf("telling PID 1: %w", err)
	}
	return nil
}
