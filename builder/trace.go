package builder

import (
	"encoding/json"
	"io"
	"time"
)

// traceEvent is an event of the Chrome trace format, which chrome://tracing,
// Perfetto and speedscope read ("Trace Event Format", a document by Google).
// Times are microseconds.
type traceEvent struct {
	Name  string         `json:"name"`
	Cat   string         `json:"cat,omitempty"`
	Phase string         `json:"ph"`
	Time  int64          `json:"ts"`
	Dur   int64          `json:"dur,omitempty"`
	PID   int            `json:"pid"`
	TID   int            `json:"tid"`
	Scope string         `json:"s,omitempty"`
	Args  map[string]any `json:"args,omitempty"`
}

// The phases of trace events.
const (
	phaseComplete = "X"
	phaseInstant  = "i"
	phaseMetadata = "M"
)

// WriteTrace writes the events of a run as a Chrome trace: a bar for each stage
// that ran, in as few rows as ran at a time, and a mark for each that was
// reused or waited.
func WriteTrace(w io.Writer, events []Event) error {
	t := tracer{running: make(map[string]started)}
	t.out = append(t.out, traceEvent{Name: "process_name", Phase: phaseMetadata, PID: 1, Args: map[string]any{"name": "imgbuild"}})
	for _, ev := range events {
		if t.begin.IsZero() {
			t.begin = ev.Time
		}
		t.add(ev)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(map[string]any{"traceEvents": t.out, "displayTimeUnit": "ms"})
}

type tracer struct {
	begin   time.Time
	running map[string]started // by stage
	rows    []bool             // which are taken
	out     []traceEvent
}

// started is a stage that runs.
type started struct {
	at  time.Time
	row int
}

func (t *tracer) add(ev Event) {
	te := traceEvent{Name: ev.Stage, Cat: string(ev.Kind), PID: 1, Time: t.micros(ev.Time), Args: map[string]any{}}
	for k, v := range map[string]string{"title": ev.Title, "key": string(ev.Key), "reason": ev.Reason, "error": ev.Error, "message": ev.Message} {
		if v != "" {
			te.Args[k] = v
		}
	}
	switch ev.Kind {
	case Started:
		t.running[ev.Stage] = started{ev.Time, t.takeRow()}
		return
	case Finished, Failed:
		s, ok := t.running[ev.Stage]
		if !ok {
			te.Phase, te.Scope = phaseInstant, "p"
			break
		}
		delete(t.running, ev.Stage)
		t.rows[s.row] = false
		te.Phase, te.TID = phaseComplete, s.row+1
		te.Time, te.Dur = t.micros(s.at), max(ev.Time.Sub(s.at).Microseconds(), 1)
	case Cached, Waiting, Warning, Result:
		te.Phase, te.Scope = phaseInstant, "p"
	default:
		return
	}
	t.out = append(t.out, te)
}

func (t *tracer) micros(at time.Time) int64 { return at.Sub(t.begin).Microseconds() }

func (t *tracer) takeRow() int {
	for i, taken := range t.rows {
		if !taken {
			t.rows[i] = true
			return i
		}
	}
	t.rows = append(t.rows, true)
	return len(t.rows) - 1
}
