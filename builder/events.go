package builder

import (
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/imgbuild/imgbuild/fault"
)

// EventKind says what happened.
type EventKind string

// What can happen.
const (
	Planned   EventKind = "planned"   // the stage is part of this run
	Started   EventKind = "started"   // the stage began to run
	Waiting   EventKind = "waiting"   // another build is making the same thing
	Progress  EventKind = "progress"  // some of its work is done
	Cached    EventKind = "cached"    // an earlier result is reused
	Finished  EventKind = "finished"  // the stage made its outputs
	Failed    EventKind = "failed"    // the stage ended in an error
	Warning   EventKind = "warning"   // something the user should know
	Result    EventKind = "result"    // a file was made for the user
	Completed EventKind = "completed" // the run is over; the last event
)

// Event is one line of the story of a run. The terminal view, the plain log
// and the JSON stream are all drawn from the same events.
type Event struct {
	Time    time.Time     `json:"time"`
	Kind    EventKind     `json:"event"`
	Stage   string        `json:"stage,omitempty"`
	Title   string        `json:"title,omitempty"`
	Key     digest.Digest `json:"key,omitempty"`
	Reason  string        `json:"reason,omitempty"` // why it ran or was reused
	Message string        `json:"message,omitempty"`
	Done    int64         `json:"done,omitempty"`
	Total   int64         `json:"total,omitempty"`
	Unit    Unit          `json:"unit,omitempty"`
	// Elapsed is the running time of a finished or failed stage, or of the
	// whole run.
	Elapsed time.Duration `json:"elapsed,omitempty"` // nanoseconds
	// Outputs are what a finished stage made.
	Outputs Outputs `json:"outputs,omitempty"`
	// Error, Hints and Code tell of a failure; Code is the exit code.
	Error string   `json:"error,omitempty"`
	Hints []string `json:"hints,omitempty"`
	Code  int      `json:"code,omitempty"`
}

// Completion returns the last event of a run that began at start and ended now
// with err, which may be nil. Whoever owns the whole run sends it: an engine
// knows only its plan.
func Completion(start, now time.Time, err error) Event {
	ev := Event{Time: now, Kind: Completed, Elapsed: now.Sub(start)}
	if err != nil {
		ev.Error, ev.Hints, ev.Code = err.Error(), fault.HintsOf(err), int(fault.KindOf(err))
	}
	return ev
}

// Listener receives events, one at a time, in order. It must not block for
// long.
type Listener func(Event)
