// Package outputtest holds the contract of an output format as tests: every
// [output.Format] passes [Test].
//
// It writes appliances over the sample disks of disktest, twice each, and
// compares; it breaks every step of a writer, beside another format that must
// not notice; and it hands what was made to the caller, whose real programs
// judge it.
package outputtest

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
)

// Format is a format under test.
type Format struct {
	output.Format
	// Options are what the samples are written with; "" is no options.
	Options string
	// Appliance is what is wrapped; its zero value stands for [Appliance].
	Appliance output.Appliance
	// Files are the names that the format makes, sorted.
	Files []string
	// Check, which may be nil, is asked about each appliance that was made:
	// it is where real programs judge. In short mode it sees only two.
	Check func(t *testing.T, m Made)
}

// Made is an appliance that a format wrote.
type Made struct {
	Appliance output.Appliance
	Dir       *output.Dir
	Files     []output.File
	Disk      disk.Reader // what it holds
}

// Appliance returns an appliance with every field that needs no file set. Its
// text has what XML must escape.
func Appliance() output.Appliance {
	return output.Appliance{
		Name: "hello-jvm", Version: "1.0.0", Vendor: "Fun & Games <games@example.org>",
		Description: "Says \"hello\" & more,\nin 2 lines — with <tags>",
		Digest:      "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
		Created:     time.Date(2026, time.March, 1, 12, 30, 15, 0, time.UTC),
		CPUs:        2, Memory: 250 << 20, Firmware: "any", Ports: []int{8080, 8443},
		Kernel: output.Kernel{Cmdline: "console=ttyS0 console=hvc0 root=PARTUUID=1 ro"},
	}
}

// Test runs the whole contract.
func Test(t *testing.T, f Format) {
	f = f.complete()
	t.Run("samples", f.testSamples)
	t.Run("options", f.testOptions)
	t.Run("failures", f.testFailures)
	t.Run("full disk", f.testFullDisk)
}

// Write makes one appliance over a sample of disktest, for tests of a format's
// own.
func Write(t *testing.T, f Format, name string) Made {
	t.Helper()
	return f.complete().write(t, t.TempDir(), disktest.Named(t, name))
}

func (f Format) complete() Format {
	if f.Appliance.Name == "" {
		f.Appliance = Appliance()
	}
	return f
}

// large is the size of disks that short tests leave out, in bytes.
const large = 1 << 32

// samples are the disks of disktest that an appliance can have: whole sectors,
// and not larger than what all containers take.
func samples() []disktest.Sample {
	return slices.DeleteFunc(disktest.Samples(), func(s disktest.Sample) bool {
		size := s.Disk.Size()
		slow := size >= large || s.Name == "islands"
		return size == 0 || size%disk.SectorSize != 0 || size > 1<<34 || slow && testing.Short()
	})
}

// testSamples writes each sample, and most of them a second time over the
// first.
func (f Format) testSamples(t *testing.T) {
	for _, s := range samples() {
		t.Run(s.Name, func(t *testing.T) {
			m := f.write(t, t.TempDir(), s.Disk)
			if s.Disk.Size() < large { // a raw file costs its size in hashing
				again := f.write(t, m.Dir.Path(""), s.Disk)
				if diff := cmp.Diff(m.Files, again.Files, ignoreAllocated); diff != "" {
					t.Errorf("the second time other files were made:\n%s", diff)
				}
			}
			checkFiles(t, m)
			if diff := cmp.Diff(f.Files, names(m.Files)); diff != "" {
				t.Errorf("files:\n%s", diff)
			}
			if f.Check != nil && (!testing.Short() || s.Name == "mixed" || s.Name == "partial grain") {
				f.Check(t, m)
			}
		})
	}
}

// write makes the appliance in a folder.
func (f Format) write(t *testing.T, dir string, d disk.Reader) Made {
	t.Helper()
	m := Made{Appliance: f.Appliance, Dir: openDir(t, dir), Disk: d}
	var err error
	var last int64
	m.Files, err = output.Write(t.Context(), f.Appliance, d, m.Dir, f.selected(t), func(done int64) { last = done })
	if err != nil {
		t.Fatal(err)
	}
	if last != 0 && last != d.Size() {
		t.Errorf("the progress ended at %d of %d", last, d.Size())
	}
	return m
}

func (f Format) selected(t *testing.T) []output.Selected {
	t.Helper()
	w, err := f.New(json.RawMessage(f.Options))
	if err != nil {
		t.Fatal(err)
	}
	return []output.Selected{{Format: f.Format, Writer: w}}
}

// testOptions gives the format an option that nobody has.
func (f Format) testOptions(t *testing.T) {
	_, err := f.New(json.RawMessage(`{"noSuchOption": 1}`))
	if err == nil || fault.KindOf(err) != fault.Recipe {
		t.Errorf("an unknown option: %v", err)
	}
	for _, none := range []string{"", "null", "{}"} {
		if _, err := f.New(json.RawMessage(none)); err != nil {
			t.Errorf("no options, as %q: %v", none, err)
		}
	}
	if f.Name() == "" || f.Summary() == "" {
		t.Error("it has no name or no summary")
	}
}

// testFullDisk writes into a folder that has too little room. It needs to be
// root to make one.
func (f Format) testFullDisk(t *testing.T) {
	dir := t.TempDir()
	mountTmpfs(t, dir, 64<<10)
	files, err := output.Write(t.Context(), f.large(), disktest.Named(t, "noise"), openDir(t, dir), f.selected(t), nil)
	if err == nil || len(files) > 0 || fault.KindOf(err) != fault.Environment || len(fault.HintsOf(err)) == 0 {
		t.Errorf("%d files and the error %v", len(files), err)
	}
	checkEmpty(t, dir)
}

// large is the appliance with a tree that does not fit either.
func (f Format) large() output.Appliance {
	a := f.Appliance
	if a.Tree != nil {
		a.Tree = largeTree{}
	}
	return a
}

type largeTree struct{}

func (largeTree) Export(_ context.Context, path, _ string) error {
	return os.WriteFile(path, make([]byte, 1<<20), 0o644)
}
