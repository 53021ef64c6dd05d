// Command init is PID 1 of an appliance.
//
// It mounts what the app needs, brings up the network, starts the app as its
// user and sees to it until the end: the file [config.Path] says how, and the
// lines that init prints on the console tell what happens.
//
// # Orders
//
// The app gets SIGTERM and its time to stop on: the ACPI power button; SIGTERM,
// SIGUSR2 (what /sbin/poweroff sends) and SIGPWR, after which the guest powers
// off; SIGINT (Ctrl-Alt-Del and /sbin/reboot), after which it reboots; SIGUSR1
// (/sbin/halt), after which it halts. The three programs are links to init.
//
// # Properties
//
// When the file lists properties of an OVF package, init looks for their answers
// on CDs and disks before the network and the app: package ovfenv reads them, and
// they become environment variables, system properties of a JVM, or the network's
// address. The whole document is left at [config.PropertiesPath].
//
// # Failures
//
// What the guest cannot do without ends in "imgbuild: failed …" and power off,
// never in the kernel panic that an exit of PID 1 is. With onExit "halt" the
// guest stays, for a look at the console.
//
// # Initramfs
//
// When the file [config.InitramfsPath] is there, init is in the initramfs of a
// kernel from a package: it loads modules, mounts the root of the kernel
// command line, and starts the init that it finds there.
//
// When the file [config.RAMPath] is there, the initramfs is the root: the guest
// has no disk. Init loads the modules, if there are any, and goes on.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/kernel/init/config"
)

func main() {
	if os.Getpid() != 1 {
		if err := order(os.Args[0]); err != nil {
			fmt.Fprintln(os.Stderr, config.Prefix+err.Error())
			os.Exit(1)
		}
		return
	}
	// A guest may have 56 MiB in all, and init has little to do.
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(20)
	c := &console{}
	c.use("/dev/console")
	b := &boot{console: c, failures: make(chan error, 1)}
	action := b.run()
	if action == lineHalt {
		c.line(lineHalt, "")
		action = b.waitForOrder()
	}
	end(c, action)
}

// boot is one run of the guest, from the first mount to the last unmount.
type boot struct {
	console  *console
	line     cmdline
	guest    config.Guest
	mounted  []config.Mount // of guest.json, in order
	signals  chan os.Signal
	requests chan request
	failures chan error
}

// run returns how the guest ends. Whatever goes wrong is on the console then.
func (b *boot) run() (action string) {
	action, err := b.guarded(b.live)
	if err != nil {
		b.console.line(config.LineFailed, "%v", err)
		action = config.LinePoweroff
		if b.guest.OnExit == lineHalt {
			action = lineHalt
		}
	}
	tidy(b.mounted)
	return action
}

// guarded turns a panic into an error.
func (b *boot) guarded(f func() (string, error)) (action string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("running init: %v\n%s", r, debug.Stack())
		}
	}()
	return f()
}

// spawn runs f beside the supervision of the app; its error ends the guest.
func (b *boot) spawn(f func() error) {
	go func() {
		_, err := b.guarded(func() (string, error) { return "", f() })
		if err != nil {
			select {
			case b.failures <- err:
			default: // the guest ends already
			}
		}
	}()
}

// live is the whole life of a guest.
func (b *boot) live() (action string, err error) {
	b.listen()
	if err := b.firstMounts(); err != nil {
		return "", err
	}
	switch {
	case exists(config.RAMPath):
		if err := b.stayInRAM(); err != nil {
			return "", err
		}
	case exists(config.InitramfsPath):
		return "", switchRoot(b.line)
	}
	b.console.line(config.LineUp, "%.3f", uptime())
	if err := b.readConfig(); err != nil {
		return "", err
	}
	if err := mountScratch(b.guest.Mounts); err != nil {
		return "", err
	}
	b.readProperties()
	if err := setSysctls("/proc/sys", sysctls(b.guest.Sysctl, b.line)); err != nil {
		b.console.line(config.LineWarning, "%v", err)
	}
	if err := fitReadahead("/sys/block", totalMemory()); err != nil {
		b.console.line(config.LineWarning, "%v", err)
	}
	network := network{config: b.guest.Network, hostname: b.guest.Hostname, console: b.console, ready: make(chan struct{})}
	ready := network.ready
	b.spawn(func() error { return network.run(context.Background()) })
	if err := b.prepare(); err != nil {
		return "", err
	}
	b.spawn(func() error { watchButtons(b.requests); return nil })
	passwd, _ := os.ReadFile("/etc/passwd") // a tree may have none
	s := supervisor{
		guest:    &b.guest,
		env:      environment(&b.guest, string(passwd)),
		console:  b.console,
		policy:   policy{restart: b.guest.Restart, max: b.guest.MaxRestarts},
		signals:  b.signals,
		requests: b.requests,
		failures: b.failures,
		ready:    ready,
	}
	return s.run()
}

// listen takes the signals early: an order that comes during the boot is
// carried out when the app could be stopped.
func (b *boot) listen() {
	b.signals = make(chan os.Signal, 64)
	b.requests = make(chan request, 1)
	signal.Notify(b.signals, unix.SIGCHLD)
	for s := range signals() {
		signal.Notify(b.signals, s)
	}
	// Ctrl-Alt-Del becomes SIGINT instead of an immediate reset.
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF)
}

// firstMounts makes the kernel command line and its consoles known.
func (b *boot) firstMounts() error {
	if err := mountKernel(); err != nil {
		return err
	}
	text, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return fmt.Errorf("reading the kernel command line: %w", err)
	}
	b.line = parseCmdline(string(text))
	b.console.use(b.line.consoles()...)
	return nil
}

func (b *boot) readConfig() error {
	text, err := os.ReadFile(config.Path)
	if err == nil {
		err = json.Unmarshal(text, &b.guest)
	}
	if err == nil && len(b.guest.App.Command) == 0 {
		err = errors.New("no command for the app")
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", config.Path, err)
	}
	return nil
}

// prepare does what the app needs and the network does not.
func (b *boot) prepare() error {
	for _, m := range b.guest.Mounts {
		if err := mountOwn(m, b.guest.App, b.console); err != nil {
			return err
		}
		b.mounted = append(b.mounted, m)
	}
	if err := nameHost(b.guest.Hostname); err != nil {
		return err
	}
	if err := raiseLimits(); err != nil {
		b.console.line(config.LineWarning, "%v", err)
	}
	return nil
}

// waitForOrder is the life of a halted guest.
func (b *boot) waitForOrder() string {
	for {
		select {
		case r := <-b.requests:
			return r.action
		case s := <-b.signals:
			if r, ok := signals()[s]; ok && r.action != lineHalt {
				return r.action
			}
		}
	}
}
