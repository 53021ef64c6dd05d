package vm

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

// Suite is a report under a name, such as that of the appliance and the road
// by which it was booted.
type Suite struct {
	Name   string
	Report *Report
}

// WriteJUnit writes reports as JUnit XML, a test suite for each.
func WriteJUnit(w io.Writer, suites ...Suite) error {
	var doc junitSuites
	for _, s := range suites {
		doc.Suites = append(doc.Suites, s.junit())
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

func (s Suite) junit() junitSuite {
	suite := junitSuite{Name: s.Name, Tests: len(s.Report.Results), Out: strings.Join(s.Report.Console, "\n")}
	for _, res := range s.Report.Results {
		c := junitCase{Class: s.Name, Name: res.Check, Time: fmt.Sprintf("%.3f", res.Elapsed)}
		if !res.OK {
			c.Failure = &junitFailure{res.Detail}
			suite.Failures++
		}
		suite.Cases = append(suite.Cases, c)
	}
	return suite
}
