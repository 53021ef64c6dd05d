package xen

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
)

// Event is what dom0 tells unasked.
type Event struct {
	// Name is "created" when the guest was made and begins to run, "ended"
	// when it is gone, "failed" when dom0 cannot go on.
	Name string
	// Uptime is dom0's clock then, in seconds; of created and ended.
	Uptime float64
	// Reason of ended is Xen's (xen/include/public/sched.h, SHUTDOWN_*); of
	// failed, why.
	Reason string
}

// Reasons of the end of a guest.
const (
	ReasonPoweroff = "0"
	ReasonReboot   = "1"
	ReasonCrash    = "3"
)

// Bounds of what is taken from dom0. Its guest has no say in it; a dom0 that
// went wild must still not fill this host's memory.
const (
	maxControlLine = 64 << 10 // bytes
	maxOutput      = 1000     // lines of a command, the last ones
)

// Control obeys the protocol of dom0/init on the machine's end of
// [ControlPort]. It is safe for concurrent use; dom0 executes one command after
// the other.
type Control struct {
	conn   net.Conn
	events func(Event)

	mu      sync.Mutex
	last    int
	pending map[int]*command
	err     error
}

// command is one that dom0 has not finished.
type command struct {
	output []string
	status chan int
}

// NewControl returns a control that needs [Control.Serve] to hear anything.
// events is called for each event, in order; it must not block.
func NewControl(conn net.Conn, events func(Event)) *Control {
	return &Control{conn: conn, events: events, pending: map[int]*command{}}
}

// Run executes a command of dom0's shell and returns what it printed. A status
// other than 0 is an error that quotes it.
func (c *Control) Run(ctx context.Context, words ...string) (string, error) {
	line := strings.Join(words, " ")
	if strings.ContainsAny(line, "\n\r") {
		return "", errors.New("a command of dom0 is one line")
	}
	pending := &command{status: make(chan int, 1)}
	id, err := c.send(line, pending)
	if err != nil {
		return "", fmt.Errorf("sending %q to dom0: %w", line, err)
	}
	select {
	case status, ok := <-pending.status:
		output := strings.Join(pending.output, "\n")
		switch {
		case !ok:
			return output, fmt.Errorf("waiting for %q in dom0: %w", line, c.err)
		case status != 0:
			return output, fmt.Errorf("executing %q in dom0: status %d: %s", line, status, output)
		}
		return output, nil
	case <-ctx.Done():
		c.mu.Lock()
		delete(c.pending, id)
		c.mu.Unlock()
		return "", fmt.Errorf("waiting for %q in dom0: %w", line, context.Cause(ctx))
	}
}

func (c *Control) send(line string, pending *command) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	c.last++
	c.pending[c.last] = pending
	_, err := fmt.Fprintf(c.conn, "%d %s\n", c.last, line)
	if err != nil {
		delete(c.pending, c.last)
	}
	return c.last, err
}

// Serve takes what dom0 tells until the connection ends, and fails what is
// pending then.
func (c *Control) Serve() {
	defer c.conn.Close()
	lines := bufio.NewScanner(c.conn)
	lines.Buffer(nil, maxControlLine)
	for lines.Scan() {
		c.take(lines.Text())
	}
	err := lines.Err()
	if err == nil {
		err = io.EOF
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = fmt.Errorf("reading from dom0: %w", err)
	for id, p := range c.pending {
		close(p.status)
		delete(c.pending, id)
	}
}

// take takes one line: "* EVENT …", "ID : OUTPUT" or "ID = STATUS". Others are
// not for us.
func (c *Control) take(line string) {
	head, rest, _ := strings.Cut(line, " ")
	if head == "*" {
		if e, ok := parseEvent(rest); ok {
			c.events(e)
		}
		return
	}
	id, err := strconv.Atoi(head)
	if err != nil {
		return
	}
	sign, text, _ := strings.Cut(rest, " ")
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pending[id]
	switch {
	case p == nil:
	case sign == ":":
		p.output = append(p.output, text)
		p.output = p.output[max(0, len(p.output)-maxOutput):]
	case sign == "=":
		status, err := strconv.Atoi(text)
		if err != nil {
			status = -1
		}
		p.status <- status
		delete(c.pending, id)
	}
}

// parseEvent reads "created UPTIME DOMID", "ended UPTIME REASON" or "failed
// WHY".
func parseEvent(text string) (Event, bool) {
	name, rest, _ := strings.Cut(text, " ")
	switch name {
	case "created", "ended":
		clock, reason, _ := strings.Cut(rest, " ")
		uptime, err := strconv.ParseFloat(clock, 64)
		if err != nil {
			return Event{}, false
		}
		if name == "created" {
			reason = ""
		}
		return Event{name, uptime, reason}, true
	case "failed":
		return Event{Name: name, Reason: rest}, true
	}
	return Event{}, false
}
