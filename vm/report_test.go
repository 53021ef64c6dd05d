package vm

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/fault"
)

func sampleReport() *Report {
	return &Report{
		Accel: TCG, Reason: "this host has no /dev/kvm",
		Results: []Result{
			{Check: "http 8080/", OK: true, Elapsed: 3.21, Detail: "status 200, 12 bytes"},
			{Check: "tcp 9000", Elapsed: 60, Detail: "not within 1m0s; the last try:\nEOF <&>"},
		},
		Timeline: Timeline{
			FirstByte: &Moment{0.3, 0.25}, Up: &Moment{1.4, 1.5}, Started: &Moment{1.5, 1.6},
			Answered: &Moment{3.21, 3.8}, GuestUp: 1.1, GuestStarted: 1.2,
		},
		Console: []string{"imgbuild: started pid 87 at 1.200", "listening"},
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	rep := sampleReport()
	for file, write := range map[string]func(io.Writer) error{
		"report.txt":  rep.WriteTable,
		"report.json": rep.WriteJSON,
		"report.xml":  func(w io.Writer) error { return WriteJUnit(w, Suite{"hello 1.0.0", rep}) },
	} {
		var got bytes.Buffer
		if err := write(&got); err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", file)
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

func TestReportErr(t *testing.T) {
	t.Parallel()
	rep := sampleReport()
	err := rep.Err()
	if fault.KindOf(err) != fault.Check || !strings.Contains(err.Error(), "checking tcp 9000: not within 1m0s") ||
		strings.Contains(err.Error(), "http 8080") {
		t.Errorf("Err = %v", err)
	}
	rep.Results = rep.Results[:1]
	if err := rep.Err(); err != nil {
		t.Errorf("Err = %v for a report without failures", err)
	}
}
