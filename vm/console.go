package vm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"regexp"
	"sync"
	"time"
)

// Bounds of what is kept of a console, however much the guest writes.
const (
	maxLines   = 4096 // lines
	maxLineLen = 4096 // bytes; longer lines are cut into several
)

// Line is a line of the console.
type Line struct {
	// Number counts from 0 at power-on.
	Number int
	// At is the time since QEMU was started when the line was complete.
	At time.Duration
	// Text is without control sequences and line end.
	Text string
}

// Console keeps the last lines that a guest wrote. It is safe for concurrent
// use; a slow reader loses lines and never delays the guest.
type Console struct {
	since func() time.Duration // time since the start
	copy  io.Writer            // gets every byte; may be nil
	see   func(Line)           // gets every line, in order; may be nil
	first func()               // called at the first byte; may be nil

	mu      sync.Mutex
	lines   []Line        // the last maxLines, oldest first
	next    int           // number of the next line
	closed  bool          // no more lines will come
	changed chan struct{} // closed and replaced at each change
}

// ErrConsoleClosed is returned when the machine has ended and the awaited line
// was not on its console.
var ErrConsoleClosed = errors.New("the console ended")

func newConsole(since func() time.Duration, copy io.Writer, first func(), see func(Line)) *Console {
	return &Console{since: since, copy: copy, first: first, see: see, changed: make(chan struct{})}
}

// read takes the console's bytes until r ends. Lines are told apart here; what
// is left unended counts as a line when the console closes.
func (c *Console) read(r io.Reader) {
	defer c.close()
	var (
		buf     [4096]byte
		partial []byte
		any     bool
	)
	for {
		n, err := r.Read(buf[:])
		if n > 0 && !any {
			any = true
			if c.first != nil {
				c.first()
			}
		}
		if n > 0 && c.copy != nil {
			if _, werr := c.copy.Write(buf[:n]); werr != nil {
				c.copy = nil // nobody looks any more; the guest goes on
			}
		}
		partial = c.split(append(partial, buf[:n]...))
		if err != nil {
			if len(partial) > 0 {
				c.add(partial)
			}
			return
		}
	}
}

// split adds the complete lines of b and returns the rest.
func (c *Console) split(b []byte) []byte {
	for {
		i := bytes.IndexByte(b, '\n')
		switch {
		case i >= 0 && i <= maxLineLen:
			c.add(b[:i])
			b = b[i+1:]
		case len(b) > maxLineLen:
			c.add(b[:maxLineLen])
			b = b[maxLineLen:]
		default:
			return bytes.Clone(b)
		}
	}
}

// control matches terminal control sequences (ECMA-48, section 5.4) and lone
// control characters, which boot loaders and firmware write.
var control = regexp.MustCompile(`\x1b\[[0-?]*[ -/]*[@-~]|\x1b.|[\x00-\x08\x0b-\x1f\x7f]`)

func (c *Console) add(b []byte) {
	text := string(control.ReplaceAll(bytes.ToValidUTF8(b, []byte("?")), nil))
	c.mu.Lock()
	line := Line{Number: c.next, At: c.since(), Text: text}
	c.next++
	if len(c.lines) == maxLines {
		c.lines = append(c.lines[:0], c.lines[maxLines/4:]...)
	}
	c.lines = append(c.lines, line)
	c.notify()
	c.mu.Unlock()
	if c.see != nil {
		c.see(line)
	}
}

func (c *Console) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.notify()
}

// notify wakes all who wait. c.mu is held.
func (c *Console) notify() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// Tail returns the last n lines, or fewer.
func (c *Console) Tail(n int) []Line {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > len(c.lines) {
		n = len(c.lines)
	}
	return append([]Line(nil), c.lines[len(c.lines)-n:]...)
}

// Wait returns the first line for which match is true, among those kept and
// those to come. It returns ErrConsoleClosed when there is none, or the error
// of ctx.
func (c *Console) Wait(ctx context.Context, match func(Line) bool) (Line, error) {
	for line, err := range c.Follow(ctx) {
		if err != nil {
			return Line{}, err
		}
		if match(line) {
			return line, nil
		}
	}
	return Line{}, ErrConsoleClosed
}

// Follow yields the lines that are kept and those to come, until the console
// closes. When ctx ends before, its error is yielded last, behind every line
// that was there by then.
func (c *Console) Follow(ctx context.Context) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		for next := 0; ; {
			lines, closed, changed := c.from(next)
			for _, l := range lines {
				next = l.Number + 1
				if !yield(l, nil) {
					return
				}
			}
			if closed {
				return
			}
			if ctx.Err() != nil {
				yield(Line{}, context.Cause(ctx))
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}
}

// from returns the kept lines with numbers of at least next.
func (c *Console) from(next int) (lines []Line, closed bool, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, l := range c.lines {
		if l.Number >= next {
			lines = append(lines, c.lines[i:]...)
			break
		}
	}
	return lines, c.closed, c.changed
}
