package vm

import (
	"encoding/json"
	"encoding/xml"
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
	fmt.Fprintf(tw, "\naccelerator\t%s\t\t%s\n", rep.Accel, rep.Reason)
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

// The elements of JUnit XML that every CI system reads.
type (
	junitSuite struct {
		XMLName  xml.Name    `xml:"testsuite"`
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Cases    []junitCase `xml:"testcase"`
		Out      string      `xml:"system-out,omitempty"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Failure *junitFailure `xml:"failure,omitempty"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
	}
)

// WriteJUnit writes the report as a JUnit test suite of the given name.
func (rep *Report) WriteJUnit(w io.Writer, name string) error {
	suite := junitSuite{Name: name, Tests: len(rep.Results), Out: strings.Join(rep.Console, "\n")}
	for _, res := range rep.Results {
		c := junitCase{Class: name, Name: res.Check, Time: fmt.Sprintf("%.3f", res.Elapsed)}
		if !res.OK {
			c.Failure = &junitFailure{res.Detail}
			suite.Failures++
		}
		suite.Cases = append(suite.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(suite); err != nil {
		return fmt.Errorf("writing JUnit XML: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}
