// Package view shows the events of a run: as a live block on a terminal, as
// plain lines, or as JSON, one object a line. All are drawn from the same
// events and take every time from them, so a recorded stream looks as it did.
//
// People see where a run failed, but not why: that is told once, by whoever
// owns the run, below all of this. A program reads it in the JSON.
package view

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
)

// View shows events.
type View interface {
	// Event shows an event. As a method value it is a builder.Listener.
	Event(builder.Event)
	// Close ends the view and returns the first error of writing, if any.
	Close() error
}

// Options are what a user may wish of a view.
type Options struct {
	// Explain shows why each stage ran or was reused.
	Explain bool
	// Color allows colours on a terminal.
	Color bool
	// Begin is when the run began; the time of the first event by default.
	Begin time.Time
}

// Mode selects a view.
type Mode string

// The modes, as --progress names them.
const (
	Auto  Mode = "auto" // TTY on a terminal, else Plain
	TTY   Mode = "tty"
	Plain Mode = "plain"
	JSON  Mode = "json"
	None  Mode = "none" // nothing is shown
)

// Modes are all there are.
func Modes() []Mode { return []Mode{Auto, TTY, Plain, JSON, None} }

// New returns the view of a mode on w, usually the standard error. It allows
// colours, unless the environment variable NO_COLOR is set
// (https://no-color.org) or the terminal is a dumb one.
func New(mode Mode, w io.Writer, opts Options) (View, error) {
	dumb := os.Getenv("TERM") == "dumb"
	opts.Color = os.Getenv("NO_COLOR") == "" && !dumb
	f, _ := w.(*os.File)
	if mode == Auto || mode == "" {
		mode = Plain
		if f != nil && term.IsTerminal(int(f.Fd())) && !dumb {
			mode = TTY
		}
	}
	switch mode {
	case Plain:
		return NewPlain(w, opts), nil
	case JSON:
		return NewJSON(w), nil
	case None:
		return silent{}, nil
	case TTY:
		return newTicking(NewTTY(w, func() int { return columns(f) }, opts)), nil
	}
	return nil, fault.New(fault.Usage, fmt.Errorf("progress mode %q is not one of %v", mode, Modes()))
}

// silent is the view of mode None.
type silent struct{}

func (silent) Event(builder.Event) {}
func (silent) Close() error        { return nil }

// columns is the width of a terminal, 0 when it is not known.
func columns(f *os.File) int {
	if f == nil {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// ticking redraws a terminal view every second, so that a stage that tells
// nothing is seen to run.
type ticking struct {
	*TTYView
	stop chan struct{}
	done chan struct{}
}

func newTicking(v *TTYView) *ticking {
	t := &ticking{v, make(chan struct{}), make(chan struct{})}
	go func() {
		defer close(t.done)
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case now := <-ticker.C:
				v.Tick(now)
			case <-t.stop:
				return
			}
		}
	}()
	return t
}

// Close follows View.
func (t *ticking) Close() error {
	close(t.stop)
	<-t.done
	return t.TTYView.Close()
}
