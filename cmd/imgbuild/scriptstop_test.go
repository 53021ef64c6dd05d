package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/builder/store"
)

// scripted is a program that a script started.
type scripted struct {
	cmd   *exec.Cmd
	ended chan struct{}
	seen  chan struct{} // closed when the output matches

	mu   sync.Mutex
	when *regexp.Regexp
	out  bytes.Buffer
}

// startScripted starts a program as exec would, and looks out for a match in
// its output.
func startScripted(ts *testscript.TestScript, when *regexp.Regexp, name string, args ...string) *scripted {
	p := &scripted{cmd: exec.Command(name, args...), when: when, ended: make(chan struct{}), seen: make(chan struct{})}
	p.cmd.Dir = ts.MkAbs(".")
	for _, v := range []string{"PATH", "HOME", "TMPDIR", store.DirEnv} {
		p.cmd.Env = append(p.cmd.Env, v+"="+ts.Getenv(v))
	}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	// What a killed build started may hold the output open beyond its end.
	p.cmd.WaitDelay = time.Second
	// A group of its own, so that nothing of a build outlives its script.
	p.cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	ts.Check(p.cmd.Start())
	go func() {
		p.cmd.Wait()
		close(p.ended)
	}()
	ts.Defer(func() {
		if err := unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			ts.Logf("stopping %s: %v", name, err)
		}
	})
	return p
}

// Write collects output.
func (p *scripted) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.Write(b)
	if p.when != nil && p.when.Match(p.out.Bytes()) {
		p.when = nil
		close(p.seen)
	}
	return len(b), nil
}

func (p *scripted) said() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Clone(p.out.Bytes())
}

// stop sends a signal and returns how the program ended: with an exit code, or
// "killed".
func (p *scripted) stop(signal unix.Signal) string {
	p.cmd.Process.Signal(signal)
	<-p.ended
	if code := p.cmd.ProcessState.ExitCode(); code >= 0 {
		return strconv.Itoa(code)
	}
	return "killed"
}

// stopped runs a program until its output matches, sends it a signal and
// checks how it ends. What it wrote is left in the file "stopped".
func stopped(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 3, "stopped SIGNAL REGEXP CODE|killed PROGRAM ARGUMENT...")
	when, err := regexp.Compile(args[1])
	ts.Check(err)
	p := startScripted(ts, when, args[3], args[4:]...)
	select {
	case <-p.seen:
	case <-p.ended:
		ts.Fatalf("it ended without saying %s:\n%s", when, p.said())
	}
	end := p.stop(unix.SignalNum("SIG" + args[0]))
	ts.Check(os.WriteFile(ts.MkAbs("stopped"), p.said(), 0o644))
	if end != args[2] {
		ts.Fatalf("it ended with %s, not %s:\n%s", end, args[2], p.said())
	}
}

// killed kills builds at random moments. Each has something to do that the
// others had not.
func killed(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) > 1, "killed TIMES PROGRAM ARGUMENT...")
	times, err := strconv.Atoi(args[0])
	ts.Check(err)
	for i := range times {
		after := time.Duration(rand.IntN(3000)) * time.Millisecond
		p := startScripted(ts, nil, args[1], append(args[2:len(args):len(args)], "--set", fmt.Sprintf("app.env.TRY=%d", i))...)
		select {
		case <-time.After(after):
		case <-p.ended:
		}
		end := p.stop(unix.SIGKILL)
		ts.Logf("try %d after %s: %s", i, after, end)
		if end != "killed" && end != "0" {
			ts.Fatalf("it ended with %s:\n%s", end, p.said())
		}
	}
}
