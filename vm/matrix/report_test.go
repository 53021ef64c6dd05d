package matrix

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/vm"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func sample() *Result {
	good := vm.Timeline{
		Up: &vm.Moment{Wall: 1.4, CPU: 1.5}, Started: &vm.Moment{Wall: 1.5, CPU: 1.6}, Ready: &vm.Moment{Wall: 2.9, CPU: 3},
		Answered: &vm.Moment{Wall: 3.21, CPU: 3.8}, GuestUp: 1.1, GuestStarted: 1.2, GuestReady: 2.6,
	}
	bad := vm.Timeline{Up: &vm.Moment{Wall: 2.4, CPU: 2.5}, Started: &vm.Moment{Wall: 2.5, CPU: 2.6}, GuestUp: 1.1, GuestStarted: 1.2}
	return &Result{
		Image: "out/hello.raw", Digest: "sha256:0123", Size: 4096,
		Runs: []Run{
			{Target: "bios", Report: &vm.Report{
				Accel: vm.TCG, Reason: "this host has no /dev/kvm", Timeline: good, Phases: good.Phases(),
				Results: []vm.Result{{Check: "http 8080/", OK: true, Elapsed: 3.21, Detail: "status 200, 12 bytes"}},
				Console: []string{"imgbuild: started pid 87 at 1.200", "listening"},
			}},
			{Target: "vmware", Report: &vm.Report{
				Accel: vm.TCG, Reason: "this host has no /dev/kvm", Timeline: bad, Phases: bad.Phases(),
				Results: []vm.Result{{Check: "http 8080/", Elapsed: 60, Detail: "not within 1m0s; the last try:\nEOF <&>"}},
				Console: []string{"imgbuild: started pid 87 at 1.200", "<b>no net</b>"},
			}},
			{Target: "uefi", Report: &vm.Report{Results: []vm.Result{{Check: "start", Detail: "none is installed"}}},
				err: fault.New(fault.Environment, errors.New("none is installed"))},
		},
	}
}

func TestWriters(t *testing.T) {
	t.Parallel()
	r := sample()
	for file, write := range map[string]func(io.Writer) error{
		"report.txt":  r.WriteText,
		"report.xml":  r.WriteJUnit,
		"report.html": r.WriteHTML,
		"report.json": func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			return e.Encode(r)
		},
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

// What a guest writes must not become markup of the page.
func TestPageIsWellFormed(t *testing.T) {
	t.Parallel()
	var page bytes.Buffer
	if err := sample().WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(page.String(), "<b>no net") {
		t.Error("the console of a guest is markup")
	}
	d := xml.NewDecoder(&page)
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestErr(t *testing.T) {
	t.Parallel()
	r := sample()
	if err := r.Err(); fault.KindOf(err) != fault.Check || !strings.Contains(err.Error(), "2 of 3 checks") {
		t.Errorf("Err = %v, want a check fault", err)
	}
	r.Runs = r.Runs[2:]
	if err := r.Err(); fault.KindOf(err) != fault.Environment || !strings.Contains(err.Error(), "starting uefi") {
		t.Errorf("Err = %v, want that of the machine that was not started", err)
	}
	r.OK = true
	if err := r.Err(); err != nil {
		t.Errorf("Err = %v for a result without failures", err)
	}
}
