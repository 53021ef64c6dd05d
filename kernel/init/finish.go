package main

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/kernel/init/config"
)

// The ends of a guest beside config.LinePoweroff.
const (
	lineReboot = "reboot"
	lineHalt   = "halt"
)

// tidyPatience is how long the tidying may take: a disk that has gone must not
// keep the guest running.
const tidyPatience = 20 * time.Second

// tidy ends every process that is left and brings the filesystems to rest, the
// last mounted first. One that cannot be unmounted is made read-only, which
// writes it out as well.
func tidy(mounts []config.Mount) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		killAll()
		for i := len(mounts) - 1; i >= 0; i-- {
			if mounts[i].Source == "tmpfs" {
				continue
			}
			if unix.Unmount(mounts[i].Path, 0) != nil {
				_ = unix.Mount("", mounts[i].Path, "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
			}
		}
		_ = unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
		unix.Sync()
	}()
	select {
	case <-done:
	case <-time.After(tidyPatience):
	}
}

// killAll kills every process but PID 1 and waits until they are gone: as long
// as one runs, its filesystem is busy.
func killAll() {
	_ = unix.Kill(-1, unix.SIGKILL) // ESRCH tells that there is none
	for range 200 {
		for {
			pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
			if err == unix.ECHILD {
				return
			}
			if err != unix.EINTR && pid <= 0 {
				break
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// end ends the guest. It does not return: when the machine cannot be switched
// off, it stays as it is.
func end(c *console, action string) {
	c.line(action, "")
	switch action {
	case lineReboot:
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	default:
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	}
	select {}
}
