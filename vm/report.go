package vm

import (
	"errors"
	"fmt"
	"slices"

	"github.com/imgbuild/imgbuild/fault"
)

// reportLines is how much of the console a report shows.
const reportLines = 20

// Report is the outcome of all checks of a machine.
type Report struct {
	Accel    Accel    `json:"accel"`
	Reason   string   `json:"reason"` // for the accelerator
	Results  []Result `json:"checks"`
	Timeline Timeline `json:"timeline"`
	Phases   []Phase  `json:"phases,omitempty"`
	// Console are the last lines that the guest wrote.
	Console []string `json:"console"`
}

// Err returns nil when every check succeeded, else a fault of kind Check that
// tells each failure and ends in the last lines of the console.
func (rep *Report) Err() error {
	var errs []error
	for _, res := range rep.Results {
		if !res.OK {
			errs = append(errs, fmt.Errorf("checking %s: %s", res.Check, res.Detail))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	if len(rep.Console) > 0 {
		errs = append(errs, errors.New("the last lines of the console:"+rep.quoted()))
	}
	return fault.New(fault.Check, errors.Join(errs...))
}

// OK reports whether every check succeeded.
func (rep *Report) OK() bool {
	return !slices.ContainsFunc(rep.Results, func(r Result) bool { return !r.OK })
}

// quoted shows the console below an error.
func (rep *Report) quoted() string {
	lines := make([]Line, len(rep.Console))
	for i, text := range rep.Console {
		lines[i].Text = text
	}
	return quote(lines)
}
