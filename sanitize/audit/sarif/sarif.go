// Package sarif writes an audit report as SARIF 2.1.0, the form that
// code-scanning pages read (OASIS, "Static Analysis Results Interchange
// Format", sections cited as SARIF).
//
// A finding is a result; its place is a byte offset in the image, and the
// owner's path as a logical location. What the policy forbids is an error or
// a warning by its severity, the rest is a note; what was allowed is a
// suppressed result with its reason.
package sarif

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"

	"github.com/imgbuild/imgbuild/sanitize/audit"
	"github.com/imgbuild/imgbuild/sanitize/audit/secret"
)

const (
	schema  = "https://json.schemastore.org/sarif-2.1.0.json"
	version = "2.1.0"
)

// Log is a SARIF log: SARIF section 3.13.
type Log struct {
	Schema  string `json:"$schema"`
	Version string `json:"version"`
	Runs    []Run  `json:"runs"`
}

// Run is one audit: SARIF section 3.14.
type Run struct {
	Tool    Tool     `json:"tool"`
	Results []Result `json:"results"`
}

// Tool is imgbuild and its rules: SARIF sections 3.18 and 3.19.
type Tool struct {
	Driver Driver `json:"driver"`
}

// Driver names the tool.
type Driver struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	Rules   []Rule `json:"rules"`
}

// Rule is SARIF's reportingDescriptor: section 3.49.
type Rule struct {
	ID               string     `json:"id"`
	ShortDescription Text       `json:"shortDescription"`
	Properties       Properties `json:"properties"`
}

// Properties is SARIF's property bag: section 3.8. Code-scanning pages sort by
// the severity there.
type Properties struct {
	Tags             []string `json:"tags,omitempty"`
	SecuritySeverity string   `json:"security-severity,omitempty"`
}

// Text is SARIF's message: section 3.11.
type Text struct {
	Text string `json:"text"`
}

// Result is one finding: SARIF section 3.27.
type Result struct {
	RuleID       string            `json:"ruleId"`
	RuleIndex    int               `json:"ruleIndex"`
	Level        string            `json:"level"`
	Message      Text              `json:"message"`
	Locations    []Location        `json:"locations"`
	Fingerprints map[string]string `json:"partialFingerprints"`
	Suppressions []Suppression     `json:"suppressions,omitempty"`
}

// Location is SARIF section 3.28.
type Location struct {
	Physical Physical  `json:"physicalLocation"`
	Logical  []Logical `json:"logicalLocations,omitempty"`
}

// Physical is a place in the image: SARIF section 3.29.
type Physical struct {
	Artifact Artifact `json:"artifactLocation"`
	Region   Region   `json:"region"`
}

// Artifact names the image: SARIF section 3.4.
type Artifact struct {
	URI string `json:"uri"`
}

// Region is a run of bytes: SARIF section 3.30.
type Region struct {
	ByteOffset int64 `json:"byteOffset"`
	ByteLength int64 `json:"byteLength"`
}

// Logical names the owner: SARIF section 3.33.
type Logical struct {
	Name string `json:"fullyQualifiedName"`
	Kind string `json:"kind"`
}

// Suppression is SARIF section 3.35.
type Suppression struct {
	Kind          string `json:"kind"`
	Justification string `json:"justification"`
}

// New turns the reports of an image's disks into a log, with a run for each.
// toolVersion is that of imgbuild.
func New(toolVersion string, reports ...*audit.Report) Log {
	log := Log{Schema: schema, Version: version, Runs: []Run{}}
	for _, r := range reports {
		log.Runs = append(log.Runs, newRun(r, toolVersion))
	}
	return log
}

func newRun(r *audit.Report, toolVersion string) Run {
	driver := Driver{Name: "imgbuild", Version: toolVersion, Rules: []Rule{}}
	index := map[string]int{}
	run := Run{Results: []Result{}}
	for i := range r.Findings {
		f := &r.Findings[i]
		at, ok := index[f.Rule]
		if !ok {
			at = len(driver.Rules)
			index[f.Rule] = at
			driver.Rules = append(driver.Rules, Rule{
				ID: f.Rule, ShortDescription: Text{f.Title},
				Properties: Properties{Tags: []string{"security", string(f.Kind)}, SecuritySeverity: score(f.Severity)},
			})
		}
		run.Results = append(run.Results, result(r, f, at))
	}
	run.Tool.Driver = driver
	return run
}

// Write writes the log of an image's disks.
func Write(w io.Writer, toolVersion string, reports ...*audit.Report) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(New(toolVersion, reports...))
}

// artifact is the address of a disk: the name of the image, and that of the disk
// below it when there are several.
func artifact(r *audit.Report) Artifact {
	name := filepath.ToSlash(filepath.Base(r.Path))
	if r.Disk != "" {
		name += "/" + r.Disk
	}
	return Artifact{name}
}

func result(r *audit.Report, f *audit.Finding, rule int) Result {
	where := fmt.Sprintf("%s (%s)", f.Owner, f.Class)
	if f.Inside != "" {
		where += ", " + f.Inside
	}
	text := fmt.Sprintf("%s in %s", f.Title, where)
	for _, more := range []string{f.Text, f.Detail} {
		if more != "" {
			text += ": " + more
		}
	}
	out := Result{
		RuleID: f.Rule, RuleIndex: rule, Level: level(f), Message: Text{text},
		Locations: []Location{{
			Physical: Physical{artifact(r), Region{f.Offset, f.Length}},
			Logical:  []Logical{{f.Owner, f.Class.String()}},
		}},
		Fingerprints: map[string]string{"imgbuild/v1": fingerprint(f)},
	}
	if f.Allowed != "" {
		out.Suppressions = []Suppression{{"external", f.Allowed}}
	}
	return out
}

// level is SARIF's: section 3.27.10.
func level(f *audit.Finding) string {
	switch {
	case f.Forbidden == "":
		return "note"
	case f.Severity >= secret.High:
		return "error"
	}
	return "warning"
}

// score places a severity on the scale from 0 to 10 that pages show.
func score(s secret.Severity) string {
	scores := []string{secret.Info: "0.0", secret.Low: "3.0", secret.Medium: "5.5", secret.High: "8.0", secret.Critical: "9.5"}
	if s == 0 || int(s) >= len(scores) {
		return "0.0"
	}
	return scores[s]
}

// fingerprint stays the same when a disk is built anew: a live file is named
// by its path and the place in it, dead bytes by their offset.
func fingerprint(f *audit.Finding) string {
	place := fmt.Sprint(f.Offset)
	if !f.Dead() {
		place = fmt.Sprint(f.Owner, "\x00", f.FileOffset, "\x00", f.Inside)
	}
	sum := sha256.Sum256([]byte(f.Rule + "\x00" + place))
	return hex.EncodeToString(sum[:16])
}
