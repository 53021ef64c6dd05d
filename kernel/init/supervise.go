package main

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/kernel/init/config"
)

// networkPatience is how long the app waits for the network at most.
const networkPatience = 5 * time.Second

// request asks supervise to end the guest.
type request struct {
	action string // config.LinePoweroff, "reboot" or "halt"
	reason string // for the console
}

// signals are what PID 1 listens to, and what each asks for. SIGINT is what
// the kernel sends for Ctrl-Alt-Del.
func signals() map[os.Signal]request {
	return map[os.Signal]request{
		unix.SIGTERM: {config.LinePoweroff, "signal TERM"},
		unix.SIGUSR2: {config.LinePoweroff, "by order"},
		unix.SIGPWR:  {config.LinePoweroff, "power failure"},
		unix.SIGUSR1: {lineHalt, "by order"},
		unix.SIGINT:  {lineReboot, "by order"},
	}
}

// supervisor runs the app. Everything that happens to it comes through
// channels to one goroutine, which alone starts, signals and reaps.
type supervisor struct {
	guest   *config.Guest
	env     []string
	console *console
	policy  policy

	signals  <-chan os.Signal
	requests <-chan request  // from the power button
	failures <-chan error    // from goroutines
	ready    <-chan struct{} // the network is there

	quiet   chan struct{} // closed when the app is to be stopped
	looked  chan struct{} // closed when its ports were told for the last time
	pid     int           // of the app; 0 while it is not running
	started time.Time
	begin   <-chan time.Time // when to start it
}

// run returns how the guest is to end, when the app has stopped: by itself for
// good, or because it was asked to.
func (s *supervisor) run() (action string, err error) {
	s.begin = time.After(networkPatience)
	meanings := signals()
	for {
		select {
		case <-s.ready:
			s.ready = nil
			if s.begin != nil {
				err = s.start()
			}
		case <-s.begin:
			s.ready = nil
			err = s.start()
		case err = <-s.failures:
		case r := <-s.requests:
			return s.stop(r), nil
		case sig := <-s.signals:
			if r, ok := meanings[sig]; ok {
				return s.stop(r), nil
			}
			status, ended := s.reap()
			if ended && !s.again(status) {
				return s.guest.OnExit, nil
			}
		}
		if err != nil {
			s.terminate()
			return "", err
		}
	}
}

func (s *supervisor) start() error {
	s.begin = nil
	pid, err := launch(s.guest.App, s.env)
	if err != nil {
		return err
	}
	s.pid, s.started = pid, time.Now()
	s.console.line(config.LineStarted, "pid %d at %.3f", pid, uptime())
	s.watchPorts()
	return nil
}

// watchPorts begins, with the first start of the app, to tell which ports it
// opens.
func (s *supervisor) watchPorts() {
	if s.quiet != nil {
		return
	}
	s.quiet, s.looked = make(chan struct{}), make(chan struct{})
	p := &ports{console: s.console}
	go func() {
		defer close(s.looked)
		p.watch(s.quiet)
	}()
}

// again sets the clock for a restart, if there is to be one.
func (s *supervisor) again(status syscall.WaitStatus) bool {
	now := time.Now()
	wait, again := s.policy.next(now, now.Sub(s.started), status)
	if !again {
		return false
	}
	s.console.line(config.LineRestarting, "in %v", wait)
	s.begin = time.After(wait)
	return true
}

// reap takes every child that has ended; orphans become children of PID 1. It
// tells when the app was among them.
func (s *supervisor) reap() (app syscall.WaitStatus, ended bool) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return app, ended
		}
		if pid == s.pid {
			s.pid, app, ended = 0, status, true
			s.console.line(config.LineExited, "%s", ending(status))
		}
	}
}

func (s *supervisor) stop(r request) string {
	if s.quiet != nil {
		close(s.quiet)
		<-s.looked
	}
	s.console.line(config.LineStopping, "%s", r.reason)
	s.terminate()
	return r.action
}

// terminate ends the app: politely first, by force when its time is over.
func (s *supervisor) terminate() {
	if s.pid == 0 {
		return
	}
	_ = unix.Kill(s.pid, unix.SIGTERM) // when it is gone, it is there to reap
	force := time.After(time.Duration(s.guest.StopTimeout) * time.Second)
	var giveUp <-chan time.Time // on an app that hangs in the kernel
	for s.pid != 0 {
		select {
		case <-force:
			_ = unix.Kill(s.pid, unix.SIGKILL)
			giveUp = time.After(tidyPatience)
		case <-giveUp:
			return
		case sig := <-s.signals:
			if sig == unix.SIGCHLD {
				s.reap()
			}
		}
	}
}
