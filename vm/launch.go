package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/imgbuild/imgbuild/fault"
)

// launch starts QEMU and waits until its monitor answers. clean is called when
// QEMU is gone, or was not started.
func (r *Running) launch(ctx context.Context, f files, clean func()) error {
	l, err := r.connect(&f)
	if err != nil {
		clean()
		return err
	}
	defer l.close()
	r.args = arguments(r.options, f)
	r.cmd = exec.CommandContext(ctx, r.options.QEMU, r.args...)
	r.cmd.ExtraFiles = l.inherited
	r.cmd.Stdout, r.cmd.Stderr = l.stdout, l.stderr

	r.start = time.Now()
	if err := spawn(r.cmd, func() { r.finish(l.readers, clean) }); err != nil {
		clean()
		return fault.New(fault.Environment, fmt.Errorf("starting %s: %w", r.options.QEMU, err))
	}
	l.close() // from here on QEMU alone holds them, so that its end is theirs
	if err := r.greet(ctx); err != nil {
		r.Kill()
		<-r.done
		return err
	}
	return nil
}

// lines are QEMU's connections: the ends that it inherits, and what reads the
// others.
type lines struct {
	inherited      []*os.File
	stdout, stderr *os.File
	readers        []func()
}

func (l *lines) close() {
	for _, f := range append(l.inherited, l.stdout, l.stderr) {
		if f != nil {
			f.Close()
		}
	}
}

// connect makes the connections and begins to read the monitor.
func (r *Running) connect(f *files) (l *lines, err error) {
	l = &lines{}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	socket := func() (net.Conn, int, error) {
		conn, theirs, err := socketPair()
		if err != nil {
			return nil, 0, err
		}
		l.inherited = append(l.inherited, theirs)
		return conn, 2 + len(l.inherited), nil // exec.Cmd.ExtraFiles begin at descriptor 3
	}
	pipe := func(theirs **os.File, to *Console) error {
		ours, w, err := os.Pipe()
		if err != nil {
			return fmt.Errorf("making a pipe: %w", err)
		}
		*theirs = w
		l.readers = append(l.readers, func() { to.read(ours); ours.Close() })
		return nil
	}
	if r.bios != nil {
		conn, fd, err := socket()
		if err != nil {
			return l, err
		}
		f.log = fd
		l.readers = append(l.readers, func() { r.bios.read(conn); conn.Close() })
	}
	serial := r.console
	if r.xen != nil {
		serial = r.xen.log // the guest's console is not the machine's
		if err := r.xen.connect(r, f, l, socket); err != nil {
			return l, err
		}
	}
	if err := errors.Join(pipe(&l.stdout, serial), pipe(&l.stderr, r.stderr)); err != nil {
		return l, err
	}
	conn, fd, err := socket()
	if err != nil {
		return l, err
	}
	f.qmp = fd
	r.qmp = newQMP(conn, r.event)
	return l, nil
}

// finish reads what QEMU writes until it is gone.
func (r *Running) finish(readers []func(), clean func()) {
	var all sync.WaitGroup
	for _, read := range readers {
		all.Go(read)
	}
	all.Wait()
	err := r.cmd.Wait()
	<-r.qmp.done
	clean()

	r.mu.Lock()
	defer r.mu.Unlock()
	// A QEMU that was killed or told to quit did as it was told; one that
	// ends by itself with a status has a complaint.
	if r.cmd.ProcessState.ExitCode() > 0 {
		r.err = fault.New(fault.Environment, fmt.Errorf("running QEMU: %w%s", err, quote(r.stderr.Tail(8))))
	}
	close(r.done)
	r.once.over.Do(func() { close(r.over) })
}

// greet waits for the monitor and asks for the ports that QEMU picked.
func (r *Running) greet(ctx context.Context) error {
	err := r.qmp.negotiate(ctx)
	if err == nil && len(r.options.Ports) > 0 {
		r.ports, err = r.forwarded(ctx)
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	select {
	case <-r.done: // its own words say more than a broken connection
	case <-time.After(time.Second):
		return fault.New(fault.Environment, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	return fault.New(fault.Environment, err)
}

// forward is a line of "info usernet":
//
//	TCP[HOST_FORWARD]  12       127.0.0.1 37649       10.0.2.15  8080     0     0
var forward = regexp.MustCompile(`(?m)^\s*TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+(\d+)\s`)

// forwarded returns the ports that QEMU bound. Letting QEMU pick them is the
// only way that leaves no moment for another program to take one.
func (r *Running) forwarded(ctx context.Context) ([]Forward, error) {
	text, err := r.qmp.human(ctx, "info usernet")
	if err != nil {
		return nil, err
	}
	bound := map[int][]int{} // by port of the guest
	for _, m := range forward.FindAllStringSubmatch(text, -1) {
		host, herr := strconv.Atoi(m[1])
		guest, gerr := strconv.Atoi(m[2])
		if err := errors.Join(herr, gerr); err != nil {
			return nil, fmt.Errorf("reading forwarded ports: %w", err)
		}
		bound[guest] = append(bound[guest], host)
	}
	ports := make([]Forward, 0, len(r.options.Ports))
	for _, p := range r.options.Ports {
		if p.Host == 0 {
			hosts := bound[p.Guest]
			if len(hosts) == 0 {
				return nil, fmt.Errorf("reading forwarded ports: none leads to %d of the guest", p.Guest)
			}
			p.Host = hosts[0]
		}
		ports = append(ports, p)
	}
	return ports, nil
}

// event notes how QEMU says that the machine ended.
func (r *Running) event(name string, data json.RawMessage) {
	switch name {
	case "SHUTDOWN":
		var e struct {
			Reason string `json:"reason"`
		}
		if json.Unmarshal(data, &e) == nil && e.Reason != "" {
			r.mu.Lock()
			r.exit.Reason = e.Reason
			if r.xen != nil && r.xen.reason != "" {
				r.exit.Reason = r.xen.reason // the event is dom0's end
			}
			r.mu.Unlock()
		}
	case "GUEST_PANICKED":
		r.fail("the guest reported a panic")
	}
}

// quote shows lines below an error; nothing when there are none.
func quote(lines []Line) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString("\n    | " + l.Text)
	}
	return b.String()
}
