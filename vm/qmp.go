package vm

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"sync"
)

// QMP is a connection to QEMU's machine protocol. It is safe for concurrent
// use.
type QMP struct {
	conn   net.Conn
	events func(name string, data json.RawMessage)
	ready  chan struct{} // closed at the greeting
	done   chan struct{} // closed when the connection has ended

	mu      sync.Mutex
	enc     *json.Encoder
	lastID  uint64
	pending map[uint64]chan reply
	err     error // why the connection ended
}

// message is all that QEMU sends: a greeting, a reply or an event.
type message struct {
	Greeting json.RawMessage `json:"QMP"`
	ID       *uint64         `json:"id"`
	reply
	Event string          `json:"event"`
	Data  json.RawMessage `json:"data"`
}

type reply struct {
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
}

// newQMP speaks the protocol on conn and negotiates its capabilities. events
// is called for each event, in order; it must not block.
func newQMP(conn net.Conn, events func(string, json.RawMessage)) *QMP {
	q := &QMP{
		conn: conn, events: events,
		ready: make(chan struct{}), done: make(chan struct{}),
		enc: json.NewEncoder(conn), pending: make(map[uint64]chan reply),
	}
	go q.read()
	return q
}

// read takes messages until the connection ends.
func (q *QMP) read() {
	defer q.conn.Close()
	greet := sync.OnceFunc(func() { close(q.ready) })
	dec := json.NewDecoder(q.conn)
	for {
		var m message
		if err := dec.Decode(&m); err != nil {
			q.end(fmt.Errorf("reading from QEMU's monitor: %w", err))
			return
		}
		switch {
		case m.Greeting != nil:
			greet()
		case m.Event != "":
			q.events(m.Event, m.Data)
		case m.ID != nil:
			q.mu.Lock()
			ch := q.pending[*m.ID]
			delete(q.pending, *m.ID)
			q.mu.Unlock()
			if ch != nil {
				ch <- m.reply
			}
		}
	}
}

// end fails all that is pending.
func (q *QMP) end(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.err = err
	for id, ch := range q.pending {
		close(ch)
		delete(q.pending, id)
	}
	close(q.done)
}

// negotiate waits for the greeting and leaves capabilities mode.
func (q *QMP) negotiate(ctx context.Context) error {
	select {
	case <-q.ready:
		return q.Do(ctx, "qmp_capabilities", nil, nil)
	case <-q.done:
		return q.err
	case <-ctx.Done():
		return fmt.Errorf("waiting for QEMU's monitor: %w", context.Cause(ctx))
	}
}

// Do executes a command with its arguments, which may be nil, and decodes what
// it returns into result, which may be nil.
func (q *QMP) Do(ctx context.Context, command string, arguments, result any) error {
	ch := make(chan reply, 1)
	if err := q.send(command, arguments, ch); err != nil {
		return fmt.Errorf("sending %s to QEMU: %w", command, err)
	}
	select {
	case r, ok := <-ch:
		switch {
		case !ok:
			return fmt.Errorf("waiting for %s: %w", command, q.err)
		case r.Error != nil:
			return fmt.Errorf("executing %s: %s: %s", command, r.Error.Class, r.Error.Desc)
		case result == nil:
			return nil
		}
		if err := json.Unmarshal(r.Return, result); err != nil {
			return fmt.Errorf("decoding the result of %s: %w", command, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for %s: %w", command, context.Cause(ctx))
	}
}

func (q *QMP) send(command string, arguments any, ch chan reply) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return q.err
	}
	q.lastID++
	q.pending[q.lastID] = ch
	err := q.enc.Encode(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
		ID        uint64 `json:"id"`
	}{command, arguments, q.lastID})
	if err != nil {
		delete(q.pending, q.lastID)
	}
	return err
}

// Powerdown presses the power button.
func (q *QMP) Powerdown(ctx context.Context) error {
	return q.Do(ctx, "system_powerdown", nil, nil)
}

// Quit ends QEMU at once, as if the plug were pulled.
func (q *QMP) Quit(ctx context.Context) error { return q.Do(ctx, "quit", nil, nil) }

// Status returns the state of the virtual machine: "running", "paused",
// "shutdown", "guest-panicked" and others.
func (q *QMP) Status(ctx context.Context) (string, error) {
	var s struct {
		Status string `json:"status"`
	}
	err := q.Do(ctx, "query-status", nil, &s)
	return s.Status, err
}

// human executes a command of the human monitor and returns its text.
func (q *QMP) human(ctx context.Context, line string) (string, error) {
	var text string
	err := q.Do(ctx, "human-monitor-command", map[string]string{"command-line": line}, &text)
	return text, err
}
