package vm

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/imgbuild/imgbuild/fault"
)

// Running is a machine that was started. It is safe for concurrent use.
type Running struct {
	options Options
	reason  string // for the accelerator
	args    []string
	ports   []Forward
	start   time.Time
	cmd     *exec.Cmd
	qmp     *QMP
	console *Console
	stderr  *Console // what QEMU itself complains of
	bios    *Console // SeaBIOS's log; nil without it
	xen     *Xen     // nil without it

	failed chan struct{} // closed at the first failure
	over   chan struct{} // closed when the guest failed, halted or ended
	done   chan struct{} // closed when QEMU is gone and all it wrote is read
	once   struct{ failed, over, end sync.Once }

	mu      sync.Mutex
	story   story
	stopped bool // by Stop
	exit    Exit
	err     error // of QEMU itself
}

// Exit is how a machine ended.
type Exit struct {
	// Reason is QEMU's (qapi/run-state.json, ShutdownCause):
	// "guest-shutdown", "guest-reset", "guest-panic", "host-qmp-quit",
	// "host-signal"; "killed" when it could not tell any more.
	Reason string `json:"reason"`
	// App is how the app ended last; nil when init did not tell.
	App *Status `json:"app,omitempty"`
}

func newRunning(o Options, reason string) *Running {
	r := &Running{
		options: o, reason: reason,
		failed: make(chan struct{}), over: make(chan struct{}), done: make(chan struct{}),
		exit: Exit{Reason: "killed"},
	}
	r.console = newConsole(r.since, o.Console, r.firstByte, func(l Line) { r.see(l.Text) })
	r.stderr = newConsole(r.since, nil, nil, func(l Line) {
		if strings.Contains(l.Text, "KVM internal error") {
			r.fail("KVM cannot run this guest here: " + l.Text)
		}
	})
	if o.Boot.onXen() {
		r.xen = newXen(r)
	}
	if o.Boot == BIOS {
		r.bios = newConsole(r.since, nil, nil, func(l Line) {
			if strings.Contains(l.Text, "No bootable device") {
				r.fail("the BIOS found nothing to boot from")
			}
		})
	}
	return r
}

// Accel returns how the guest is executed, and why so.
func (r *Running) Accel() (Accel, string) { return r.options.Accel, r.reason }

// StopTimeout returns how long [Running.Stop] waits for the guest.
func (r *Running) StopTimeout() time.Duration { return r.options.StopTimeout }

// Args returns QEMU's command line, the program first.
func (r *Running) Args() []string { return slices.Concat([]string{r.options.QEMU}, r.args) }

// Pid returns the process id of QEMU.
func (r *Running) Pid() int { return r.cmd.Process.Pid }

// Ports returns the forwarded ports, with those that were picked.
func (r *Running) Ports() []Forward { return slices.Clone(r.ports) }

// Addr returns the address on this host that leads to a port of the guest.
func (r *Running) Addr(guest int) (string, bool) {
	for _, p := range r.ports {
		if p.Guest == guest {
			return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Host)), true
		}
	}
	return "", false
}

// Console returns what the guest writes.
func (r *Running) Console() *Console { return r.console }

// QMP returns the connection to QEMU.
func (r *Running) QMP() *QMP { return r.qmp }

// Timeline returns what has happened so far.
func (r *Running) Timeline() Timeline {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.story.timeline
}

// Failed is closed when the guest cannot go on: its kernel panicked, the
// firmware found nothing to boot, init gave up. Wait tells the reason. A guest
// that cannot end itself is ended.
func (r *Running) Failed() <-chan struct{} { return r.failed }

// Done is closed when the machine has ended and its console was read.
func (r *Running) Done() <-chan struct{} { return r.done }

// Now returns the present moment of the machine.
func (r *Running) Now() Moment {
	cpu, err := cpuTime(r.Pid())
	if err != nil {
		cpu = 0 // QEMU is gone, or the system has no /proc
	}
	return Moment{Wall: r.since().Seconds(), CPU: cpu.Seconds()}
}

// Wait waits for the machine's end and tells how it was. The error is that of
// the guest or of QEMU; an app that ended with a status other than 0 is none.
func (r *Running) Wait(ctx context.Context) (Exit, error) {
	select {
	case <-r.done:
	case <-ctx.Done():
		return Exit{}, context.Cause(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	exit := r.exit
	exit.App = r.story.status
	if r.story.failure != "" {
		return exit, fault.New(fault.Check, errors.New(r.story.failure))
	}
	return exit, r.err
}

func (r *Running) since() time.Duration { return time.Since(r.start) }

// firstByte notes when the console came to life.
func (r *Running) firstByte() {
	now := r.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	first(&r.story.timeline.FirstByte, now)
}

// see follows the console.
func (r *Running) see(text string) {
	now := r.Now()
	r.tell(func(s *story) { s.see(text, now) })
}

// fail notes why the guest cannot go on.
func (r *Running) fail(reason string) {
	r.tell(func(s *story) { s.fail(reason, true) })
}

// lastWords is how long a guest that is dead, or off on a machine without ACPI,
// may go on writing to its console before the machine is ended: a panic is
// followed by its trace.
const lastWords = time.Second

// tell changes the story and lets the world know what follows from it.
func (r *Running) tell(change func(*story)) {
	r.mu.Lock()
	change(&r.story)
	failed, dead, halted := r.story.failure != "", r.story.dead, r.story.halted
	off := r.story.timeline.Off != nil && !halted
	r.mu.Unlock()
	if failed {
		r.once.failed.Do(func() { close(r.failed) })
	}
	if failed || halted {
		r.once.over.Do(func() { close(r.over) })
	}
	if dead || off && !r.options.hasButton() {
		r.once.end.Do(func() {
			time.AfterFunc(lastWords, func() { r.pull(context.Background()) })
		})
	}
}
