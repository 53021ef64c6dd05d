package vm

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

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

func (rep *Report) quoted() string {
	lines := make([]Line, len(rep.Console))
	for i, text := range rep.Console {
		lines[i].Text = text
	}
	return quote(lines)
}

// WriteTable writes the report for people.
func (rep *Report) WriteTable(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, res := range rep.Results {
		verdict := "ok"
		if !res.OK {
			verdict = "FAILED"
		}
		fmt.Fprintf(tw, "%s\t%s\t%.2f s\t%s\n", verdict, res.Check, res.Elapsed, oneLine(res.Detail))
	}
	fmt.Fprintf(tw, "\naccelerator\t%s\t\t%s\n", rep.Accel, oneLine(rep.Reason))
	for _, m := range rep.Timeline.moments() {
		fmt.Fprintf(tw, "%s\t\t%.2f s\t%.2f CPU-seconds\n", m.name, m.Wall, m.CPU)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if rep.Err() != nil && len(rep.Console) > 0 {
		_, err := fmt.Fprintf(w, "\nThe last lines of the console:%s\n", rep.quoted())
		return err
	}
	return nil
}

// oneLine keeps a row of the table in its row.
func oneLine(s string) string {
	return strings.NewReplacer("\n", " ", "\t", " ").Replace(s)
}

// WriteJSON writes the report for programs.
func (rep *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(rep)
}
