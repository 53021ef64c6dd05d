package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/kernel/init/config"
)

// console is where init's own lines go: every console that the kernel command
// line names. The app writes to /dev/console alone, which is the last of them;
// where that one leads nowhere, init's lines still tell what happens.
type console struct {
	mu  sync.Mutex
	fds []int
}

// consolePatience is how long a console that takes no bytes may hold up init.
// Then it is given up for good.
const consolePatience = time.Second

// use writes to the given devices from now on, as many of them as there are.
// When there are none, the devices in use stay.
func (c *console) use(devices ...string) {
	var fds []int
	for _, device := range devices {
		// A console without a carrier or a reader must not hold up PID 1.
		fd, err := unix.Open(device, unix.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err == nil {
			fds = append(fds, fd)
		}
	}
	if len(fds) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, fd := range c.fds {
		unix.Close(fd)
	}
	c.fds = fds
}

// line prints one line of the contract: the word and what belongs to it.
func (c *console) line(word, format string, args ...any) {
	text := config.Prefix + word
	if format != "" {
		// Every line has the prefix: joined errors must not make two.
		text += " " + strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "; ")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.fds[:0]
	for _, fd := range c.fds {
		if writeAll(fd, []byte(text+"\n")) {
			kept = append(kept, fd)
		} else {
			unix.Close(fd)
		}
	}
	c.fds = kept
}

// writeAll reports whether the console is worth keeping.
func writeAll(fd int, b []byte) bool {
	deadline := time.Now().Add(consolePatience)
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		switch {
		case n > 0:
			b = b[n:]
		case err == unix.EINTR:
		case err == unix.EAGAIN && time.Now().Before(deadline):
			wait := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
			_, _ = unix.Poll(wait, 10) // the next write tells how it went
		default:
			return false
		}
	}
	return true
}

// uptime is the time since the kernel's clock began, in seconds.
func uptime() float64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // cannot fail on this clock
	return float64(t.Nano()) / 1e9
}
