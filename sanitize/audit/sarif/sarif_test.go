package sarif_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	reader "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/audit"
	"github.com/imgbuild/imgbuild/sanitize/audit/carve"
	"github.com/imgbuild/imgbuild/sanitize/audit/sarif"
	"github.com/imgbuild/imgbuild/sanitize/audit/secret"
)

func report() *audit.Report {
	live := audit.Finding{
		Kind: audit.Secret, Rule: "shadow", Title: "password hashes", Offset: 4096, Length: 10, Class: sanitize.Live, Owner: "/etc/shadow",
		Severity: secret.High, Confidence: carve.High, Forbidden: "default/severity",
	}
	allowed := live
	allowed.Owner, allowed.Forbidden, allowed.Allowed = "/etc/shadow-", "", "it is a test"
	dead := audit.Finding{
		Kind: audit.File, Rule: "png", Title: "PNG image", Offset: 8192, Length: 100, Class: sanitize.Free, Owner: "free blocks",
		Severity: secret.Medium, Confidence: carve.High, Forbidden: "default/residue",
	}
	return &audit.Report{Path: "out/disk one.img", Size: 1 << 20, Findings: []audit.Finding{live, allowed, dead}}
}

// schema is that of the standard, as go-sarif has it in a constant.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/owenrumney/go-sarif/v3").Output()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "pkg/report/v210/sarif/schema.go"))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(source), "`")
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(parts[1]))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("sarif.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSchema lets the schema of the standard judge a log, and another program
// read it.
func TestSchema(t *testing.T) {
	s := schema(t)
	for _, r := range []*audit.Report{report(), {}} {
		var b bytes.Buffer
		if err := sarif.Write(&b, "1.0", r); err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(doc); err != nil {
			t.Errorf("%v:\n%s", err, &b)
		}
		log, err := reader.FromBytes(b.Bytes())
		if err != nil || len(log.Runs) != 1 || len(log.Runs[0].Results) != len(r.Findings) {
			t.Errorf("read is %+v, %v", log, err)
		}
	}
}

// TestLevels shows what a page will make of findings.
func TestLevels(t *testing.T) {
	results := sarif.New("1.0", report()).Runs[0].Results
	for i, want := range []string{"error", "note", "warning"} {
		if results[i].Level != want {
			t.Errorf("result %d is a %s, not a %s", i, results[i].Level, want)
		}
	}
	if len(results[1].Suppressions) != 1 || results[0].Locations[0].Physical.Region.ByteOffset != 4096 {
		t.Errorf("results are %+v", results)
	}
}

// TestFingerprint shows that a live finding is the same wherever a new build
// puts its file, and a dead one is not.
func TestFingerprint(t *testing.T) {
	print := func(r *audit.Report, i int) string {
		return sarif.New("", r).Runs[0].Results[i].Fingerprints["imgbuild/v1"]
	}
	moved := report()
	for i := range moved.Findings {
		moved.Findings[i].Offset += 512
	}
	if print(report(), 0) != print(moved, 0) || print(report(), 2) == print(moved, 2) || print(report(), 0) == print(report(), 1) {
		t.Error("fingerprints do not tell findings apart")
	}
}
