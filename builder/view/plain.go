package view

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/imgbuild/imgbuild/builder"
)

// PlainView writes a line for what starts and ends, with the time since the
// run began.
type PlainView struct {
	w     io.Writer
	opts  Options
	begin time.Time
	err   error
}

// NewPlain returns a view for logs and pipes.
func NewPlain(w io.Writer, opts Options) *PlainView {
	return &PlainView{w: w, opts: opts, begin: opts.Begin}
}

// Event follows View.
func (v *PlainView) Event(ev builder.Event) {
	if v.begin.IsZero() {
		v.begin = ev.Time
	}
	text := line(ev, v.opts)
	if text == "" || v.err != nil {
		return
	}
	_, v.err = fmt.Fprintf(v.w, "%7s  %s\n", duration(ev.Time.Sub(v.begin)), text)
}

// Close follows View.
func (v *PlainView) Close() error { return v.err }

// JSONView writes each event as it is.
type JSONView struct {
	e   *json.Encoder
	err error
}

// NewJSON returns a view for programs: one JSON object a line, as builder.Event
// describes it.
func NewJSON(w io.Writer) *JSONView {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return &JSONView{e: e}
}

// Event follows View.
func (v *JSONView) Event(ev builder.Event) {
	if v.err == nil {
		v.err = v.e.Encode(ev)
	}
}

// Close follows View.
func (v *JSONView) Close() error { return v.err }
