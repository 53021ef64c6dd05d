package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// launch is how a sandbox's own program is started.
type launch struct {
	path    string
	args    []string
	env     []string
	status  bool   // it reports as bwrap's --json-status-fd does
	cleanup func() // called at the end; may be nil
}

// Process is a program that runs in a sandbox.
type Process struct {
	cmd    *exec.Cmd
	cancel context.CancelFunc
	first  atomic.Pointer[first] // nil when there is no namespace, or not yet
	tail   tail                  // the last of the standard error
	status chan int              // the exit status that bwrap reports, if it does
	killed atomic.Bool
	done   chan struct{}
	err    error // set before done is closed
}

// first is the first process of a process namespace.
type first struct {
	pid int      // in the machine's numbering
	fd  *os.File // its pidfd
}

// start runs the sandbox's program and waits until the child is there.
func start(ctx context.Context, c Command, l launch) (*Process, error) {
	p := &Process{status: make(chan int, 1), done: make(chan struct{})}
	if c.Timeout > 0 {
		cause := fmt.Errorf("%s did not end within %v: %w", c.Args[0], c.Timeout, context.DeadlineExceeded)
		ctx, p.cancel = context.WithTimeoutCause(ctx, c.Timeout, cause)
	} else {
		ctx, p.cancel = context.WithCancel(ctx)
	}
	p.cmd = exec.CommandContext(ctx, l.path, l.args...)
	p.cmd.Env = l.env
	p.cmd.Cancel = p.kill
	p.cmd.WaitDelay = 5 * time.Second
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p.cmd.Stdout, p.cmd.Stderr = outputs(c, &p.tail)
	var report *os.File
	if l.status {
		r, w, err := os.Pipe()
		if err != nil {
			p.cancel()
			return nil, fmt.Errorf("starting a sandbox: %w", err)
		}
		report, p.cmd.ExtraFiles = r, []*os.File{w}
	}
	started := make(chan error, 1)
	go p.supervise(ctx, started, c, l)
	if err := <-started; err != nil {
		report.Close()
		return nil, fmt.Errorf("starting a sandbox: %w", err)
	}
	if report == nil {
		close(p.status)
		return p, nil
	}
	return p, p.follow(report)
}

// supervise starts the program and waits for it on one thread: the kernel
// sends the parent-death signal when the thread that started it ends
// (prctl(2), PR_SET_PDEATHSIG).
func (p *Process) supervise(ctx context.Context, started chan<- error, c Command, l launch) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	defer p.cancel()
	if l.cleanup != nil {
		defer l.cleanup()
	}
	begin := p.cmd.Start
	if c.CPU > 0 {
		begin = onOneCPU(c.CPU-1, begin)
	}
	err := begin()
	for _, f := range p.cmd.ExtraFiles {
		f.Close()
	}
	started <- err
	if err != nil {
		return
	}
	p.err = p.outcome(ctx, p.cmd.Wait())
}

// follow reads bwrap's reports: the first process, and at the end the exit
// status. It returns once the first process is there.
func (p *Process) follow(report *os.File) error {
	messages := json.NewDecoder(report)
	var message struct {
		Child int  `json:"child-pid"`
		Code  *int `json:"exit-code"`
	}
	err := messages.Decode(&message)
	var fd int
	if err == nil {
		fd, err = unix.PidfdOpen(message.Child, 0)
	}
	if err != nil {
		report.Close()
		close(p.status)
		p.cmd.Process.Kill()
		if err := p.Wait(); err != nil {
			return err
		}
		return fmt.Errorf("starting a sandbox: %w", err)
	}
	pidfd := os.NewFile(uintptr(fd), "pidfd")
	p.first.Store(&first{message.Child, pidfd})
	go func() {
		if messages.Decode(&message) == nil && message.Code != nil {
			p.status <- *message.Code
		}
		close(p.status)
		report.Close()
		<-p.done
		pidfd.Close()
	}()
	return nil
}

// outcome says in one error how the program ended.
func (p *Process) outcome(ctx context.Context, err error) error {
	code, reported := <-p.status
	if err == nil && !p.killed.Load() {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("running in a sandbox: %w", cause)
	}
	if message := p.tail.after("bwrap: ", "proot error: "); message != "" {
		return fmt.Errorf("running in a sandbox: %s", message)
	}
	var exit *exec.ExitError
	switch {
	case reported:
		return &ExitError{code}
	case p.killed.Load():
		return &ExitError{128 + int(unix.SIGKILL)}
	case !errors.As(err, &exit):
		return fmt.Errorf("running in a sandbox: %w", err)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return &ExitError{128 + int(status.Signal())}
	}
	return &ExitError{exit.ExitCode()}
}

// Wait waits for the end of the program and of all it started. It may be
// called more than once. A status other than 0 is an *ExitError.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// Signal asks the program to end: it gets SIGTERM.
func (p *Process) Signal() error {
	for {
		pid, err := p.program()
		if err == nil {
			err = unix.Kill(pid, unix.SIGTERM)
		}
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return nil // it has ended by itself
		case <-time.After(5 * time.Millisecond):
			if !errors.Is(err, errNoChild) {
				return fmt.Errorf("signalling the program in the sandbox: %w", err)
			}
		}
	}
}

// Kill ends all processes of the sandbox at once.
func (p *Process) Kill() { p.kill() }

// kill ends the first process of the namespace, and with it the kernel ends
// all others (pid_namespaces(7)); bwrap then collects it and ends by itself.
func (p *Process) kill() error {
	p.killed.Store(true)
	f := p.first.Load()
	if f == nil {
		return p.killTraced()
	}
	conn, err := f.fd.SyscallConn()
	if err != nil {
		return nil // it has ended
	}
	conn.Control(func(fd uintptr) { unix.PidfdSendSignal(int(fd), unix.SIGKILL, nil, 0) })
	return nil
}

// killTraced ends what proot traces, which is every process, also those that
// left their parents, and then proot itself. What is killed stays traced until
// proot has seen it.
func (p *Process) killTraced() error {
	proot := p.cmd.Process.Pid
	for range 1000 {
		traced := processes("TracerPid:", proot)
		if len(traced) == 0 {
			break
		}
		for _, pid := range traced {
			unix.Kill(pid, unix.SIGKILL)
		}
		time.Sleep(5 * time.Millisecond)
	}
	err := unix.Kill(-proot, unix.SIGKILL)
	if err == unix.ESRCH {
		return os.ErrProcessDone
	}
	return err
}

var errNoChild = errors.New("it has not started yet")

// program finds the process of the program: the child of the namespace's
// first process, or the child of proot.
func (p *Process) program() (int, error) {
	parent := p.cmd.Process.Pid
	if f := p.first.Load(); f != nil {
		parent = f.pid
	}
	if children := processes("PPid:", parent); len(children) > 0 {
		return children[0], nil
	}
	return 0, errNoChild
}

// processes lists the processes whose status has a field with this value
// (proc(5)).
func processes(field string, value int) (pids []int) {
	paths, _ := filepath.Glob("/proc/[0-9]*/status")
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, field); ok && strings.TrimSpace(rest) == strconv.Itoa(value) {
				if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
					pids = append(pids, pid)
				}
			}
		}
	}
	return pids
}

// outputs connects the command's writers and keeps the last of the errors.
func outputs(c Command, t *tail) (stdout, stderr io.Writer) {
	if c.Stderr == nil {
		return c.Stdout, t
	}
	both := io.MultiWriter(c.Stderr, t)
	if same(c.Stdout, c.Stderr) {
		return both, both // os/exec gives equal writers one pipe
	}
	return c.Stdout, both
}

// same compares writers whose types may not be comparable.
func same(a, b io.Writer) bool {
	defer func() { recover() }()
	return a == b
}
