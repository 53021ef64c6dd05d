package view

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/imgbuild/imgbuild/builder"
)

// redrawEvery is how often progress alone redraws the block at most.
const redrawEvery = 80 * time.Millisecond

// The control sequences of ECMA-48 that terminals have in common.
const (
	cursorUp   = "\x1b[%dA"
	eraseBelow = "\r\x1b[J"
	colorReset = "\x1b[0m"
)

// colors of the lines of events that are over.
var colors = map[builder.EventKind]string{
	builder.Cached:   "\x1b[2m",
	builder.Finished: "\x1b[32m",
	builder.Warning:  "\x1b[33m",
	builder.Failed:   "\x1b[31m",
}

// TTYView draws the running stages as a block at the bottom of a terminal; what
// is over scrolls away above.
type TTYView struct {
	w     io.Writer
	width func() int
	opts  Options

	mu      sync.Mutex
	begin   time.Time
	now     time.Time // of the last event or tick
	drawn   time.Time
	lines   int // of the block on the screen
	running []*runningStage
	planned int
	over    int
	err     error
}

// runningStage is a line of the block.
type runningStage struct {
	builder.Event // that started it
	waiting       bool
	progress      builder.Event // the last one
	first         builder.Event // the first one, for the rate
}

// NewTTY returns a view for a terminal that is width columns wide; when width
// gives no more than 0, 80 is taken.
func NewTTY(w io.Writer, width func() int, opts Options) *TTYView {
	return &TTYView{w: w, width: width, opts: opts, begin: opts.Begin}
}

// Event follows View.
func (v *TTYView) Event(ev builder.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.begin.IsZero() {
		v.begin = ev.Time
	}
	v.now = ev.Time
	switch ev.Kind {
	case builder.Planned:
		v.planned++
	case builder.Started:
		v.drop(ev.Stage)
		v.running = append(v.running, &runningStage{Event: ev})
	case builder.Waiting:
		v.running = append(v.running, &runningStage{Event: ev, waiting: true})
	case builder.Progress:
		if !v.progress(ev) || ev.Time.Sub(v.drawn) < redrawEvery {
			return
		}
	case builder.Cached, builder.Finished, builder.Failed:
		v.drop(ev.Stage)
		v.over++
	case builder.Completed:
		v.running = nil
	}
	v.draw(v.scrolled(ev))
}

// Tick redraws the block as of now.
func (v *TTYView) Tick(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.running) > 0 && now.After(v.now) {
		v.now = now
		v.draw("")
	}
}

// Close follows View. The block is taken away.
func (v *TTYView) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.running = nil
	v.draw("")
	return v.err
}

// progress takes note of progress and reports whether it is of a stage in the
// block.
func (v *TTYView) progress(ev builder.Event) bool {
	for _, r := range v.running {
		if r.Stage != ev.Stage {
			continue
		}
		if r.first.Time.IsZero() || r.progress.Total != ev.Total || r.progress.Done > ev.Done {
			r.first = ev // a new part of the work
		}
		r.progress = ev
		return true
	}
	return false
}

func (v *TTYView) drop(stage string) {
	for i, r := range v.running {
		if r.Stage == stage {
			v.running = append(v.running[:i:i], v.running[i+1:]...)
			return
		}
	}
}

// scrolled is the line that stays on the screen. What starts is in the block.
func (v *TTYView) scrolled(ev builder.Event) string {
	if ev.Kind == builder.Started || ev.Kind == builder.Waiting {
		return ""
	}
	text := line(ev, v.opts)
	if color := colors[ev.Kind]; text != "" && color != "" && v.opts.Color {
		text = color + text + colorReset
	}
	return text
}

// draw replaces the block, with a line above it that stays, in one write.
func (v *TTYView) draw(above string) {
	var b strings.Builder
	if v.lines > 0 {
		fmt.Fprintf(&b, cursorUp+eraseBelow, v.lines)
	}
	if above != "" {
		b.WriteString(above + "\n")
	}
	width := v.width()
	if width <= 0 {
		width = 80
	}
	v.lines = 0
	if len(v.running) > 0 {
		fmt.Fprintf(&b, "%s\n", cut(fmt.Sprintf("[%d/%d] %s", v.over, v.planned, duration(v.now.Sub(v.begin))), width))
		v.lines++
	}
	for _, r := range v.running {
		b.WriteString(r.line(v.now, width) + "\n")
		v.lines++
	}
	v.drawn = v.now
	if b.Len() > 0 && v.err == nil {
		_, v.err = io.WriteString(v.w, b.String())
	}
}

// barWidth is how wide progress bars are, in columns.
const barWidth = 20

// line is a running stage: its name and time, a bar when the total is known,
// and what it does.
func (r *runningStage) line(now time.Time, width int) string {
	parts := []string{"  " + r.Stage}
	switch p := r.progress; {
	case r.waiting:
		parts = append(parts, "waiting: "+r.Message)
	case p.Total > 0:
		parts = append(parts, bar(p.Done, p.Total, barWidth), amount(p), r.left())
	case p.Done > 0:
		parts = append(parts, amount(p))
	}
	parts = append(parts, duration(now.Sub(r.Time)))
	if r.Title != "" {
		parts = append(parts, r.Title)
	}
	text := strings.Join(strings.FieldsFunc(strings.Join(parts, "\x00"), func(c rune) bool { return c == 0 }), "  ")
	return cut(strings.ReplaceAll(Clean(text), "\n", " "), width)
}

// left is the time that the rest will take at the rate so far.
func (r *runningStage) left() string {
	done := r.progress.Done - r.first.Done
	took := r.progress.Time.Sub(r.first.Time)
	rest := r.progress.Total - r.progress.Done
	if done <= 0 || took <= 0 || rest <= 0 {
		return ""
	}
	return duration(time.Duration(float64(took)/float64(done)*float64(rest))) + " left"
}

// cut keeps a line shorter than the terminal: one that wraps would break the
// count of lines.
func cut(s string, width int) string {
	if utf8.RuneCountInString(s) < width {
		return s
	}
	runes := []rune(s)
	return string(runes[:max(width-2, 0)]) + "…"
}
