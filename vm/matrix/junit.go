package matrix

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// The elements of JUnit XML that every CI system reads.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
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

// WriteJUnit writes the result as JUnit XML, a test suite for each target.
func (r *Result) WriteJUnit(w io.Writer) error {
	var doc junitSuites
	for _, run := range r.Runs {
		doc.Suites = append(doc.Suites, run.suite(r.Image+" on "+run.Target))
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return fmt.Errorf("writing JUnit XML: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (run Run) suite(name string) junitSuite {
	suite := junitSuite{Name: name, Tests: len(run.Results), Out: strings.Join(run.Console, "\n")}
	for _, res := range run.Results {
		c := junitCase{Class: name, Name: res.Check, Time: fmt.Sprintf("%.3f", res.Elapsed)}
		if !res.OK {
			c.Failure = &junitFailure{res.Detail}
			suite.Failures++
		}
		suite.Cases = append(suite.Cases, c)
	}
	return suite
}
