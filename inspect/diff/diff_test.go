package diff_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/inspect/diff"
	"github.com/imgbuild/imgbuild/output/convert"
)

// compare compares two images.
func compare(t *testing.T, a, b string, o diff.Options) *diff.Report {
	t.Helper()
	r, err := diff.Run(t.Context(), a, b, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// found runs a program that ends with 1 when it finds differences.
func found(t *testing.T, name, pkg string, args ...string) string {
	t.Helper()
	out, err := exec.Command(disktest.Program(t, name, pkg), args...).Output()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatalf("%s %q: %v", name, args, err)
	}
	return string(out)
}

// writeFile writes a file and its folders.
func writeFile(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestSame compares a disk with what it becomes in other containers.
func TestSame(t *testing.T) {
	raw, dir := disktest.RawFile(t, disktest.Named(t, "mixed")), t.TempDir()
	for _, name := range []string{"a.qcow2", "a.vmdk", "a.vhd", "a.vhdx", "a.ova", "a.raw.zst"} {
		path := filepath.Join(dir, name)
		if _, err := convert.Run(t.Context(), convert.Options{In: raw, Out: path}); err != nil {
			t.Fatal(err)
		}
		r := compare(t, raw, path, diff.Options{})
		if !r.Same || len(r.Container) == 0 || len(r.Description) > 0 || r.Disks[0].Bytes.Differ != 0 {
			t.Errorf("%s: %+v", name, r)
		}
	}
	r := compare(t, filepath.Join(dir, "a.qcow2"), filepath.Join(dir, "a.qcow2"), diff.Options{})
	if want := (&diff.Report{A: r.A, B: r.B, Same: true, Disks: []diff.Disk{{Bytes: &diff.ByteDiff{}}}}); !cmp.Equal(r, want) {
		t.Error(cmp.Diff(want, r))
	}
}

// TestDescriptions compares two packages of one disk.
func TestDescriptions(t *testing.T) {
	raw, dir := disktest.RawFile(t, disktest.Named(t, "1 MiB")), t.TempDir()
	pack := func(name string, cpus int) string {
		path := filepath.Join(dir, name, "x.ova")
		if _, err := convert.Run(t.Context(), convert.Options{In: raw, Out: path, CPUs: cpus, Memory: 256 << 20}); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a, b := pack("a", 1), pack("b", 3)
	want := []diff.Fact{{What: "machines[0].cpus", A: "1", B: "3"}}
	if r := compare(t, a, b, diff.Options{}); r.Same || !cmp.Equal(r.Description, want) || r.Disks[0].Bytes.Differ != 0 {
		t.Errorf("%+v", r)
	}
	if r := compare(t, a, b, diff.Options{Only: []diff.Section{diff.Bytes}}); !r.Same {
		t.Errorf("only bytes: %+v", r)
	}
	if r := compare(t, a, pack("c", 1), diff.Options{}); !r.Same {
		t.Errorf("packed twice: %+v", r)
	}
}

// TestBytes counts the bytes that differ as cmp does.
func TestBytes(t *testing.T) {
	dir := t.TempDir()
	a, err := os.ReadFile(disktest.RawFile(t, disktest.Named(t, "mixed")))
	if err != nil {
		t.Fatal(err)
	}
	b := bytes.Clone(a)
	for i := 7; i < len(b); i += i/3 + 1 {
		b[i] ^= 0x5a
	}
	copy(b[3<<20-100:], make([]byte, 5000))
	for i := range 3000 {
		b[5<<20+i*3]++
	}
	first, second := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for path, content := range map[string][]byte{first: a, second: b} {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var differ, extents, last int64 = 0, 0, -2
	for line := range strings.Lines(found(t, "cmp", "diffutils", "-l", first, second)) {
		var at int64
		for _, c := range strings.Fields(line)[0] {
			at = at*10 + int64(c-'0')
		}
		sector := (at - 1) / 512 // cmp counts from 1
		if differ++; sector > last+1 {
			extents++
		}
		last = sector
	}
	r := compare(t, first, second, diff.Options{})
	got := r.Disks[0].Bytes
	if r.Same || got.Differ != differ || got.Extents != extents || int64(len(got.List)) != extents {
		t.Errorf("%d bytes in %d extents, of which %d are listed; cmp says %d in %d", got.Differ, got.Extents, len(got.List), differ, extents)
	}
	few := compare(t, first, second, diff.Options{Limit: 3}).Disks[0].Bytes
	if len(few.List) != 3 || few.UnlistedExtents != extents-3 || !cmp.Equal(few.List, got.List[:3]) || few.Differ != differ {
		t.Errorf("limited: %+v", few)
	}
	if stat := compare(t, first, second, diff.Options{Stat: true}).Disks[0].Bytes; stat.List != nil || stat.Owners != nil || stat.Differ != differ {
		t.Errorf("counted: %+v", stat)
	}
}

// TestSizes compares disks of which one is longer.
func TestSizes(t *testing.T) {
	dir := t.TempDir()
	a := writeFile(t, filepath.Join(dir, "a"), strings.Repeat("x", 1024))
	b := writeFile(t, filepath.Join(dir, "b"), strings.Repeat("x", 1024)+strings.Repeat("\x00", 512)+strings.Repeat("y", 512))
	for _, pair := range [][2]string{{a, b}, {b, a}} {
		r := compare(t, pair[0], pair[1], diff.Options{})
		d := r.Disks[0]
		if r.Same || d.Bytes.Differ != 512 || !cmp.Equal(d.Bytes.List, []diff.Extent{{Off: 1536, Len: 512}}) || d.Facts[0].What != "virtual size" {
			t.Errorf("%+v %+v", d, d.Bytes)
		}
	}
	// Holes cost nothing, whatever the sizes.
	if r := compare(t, disktest.RawFile(t, disktest.Named(t, "9 GiB")), disktest.RawFile(t, disktest.Named(t, "2 TiB")), diff.Options{}); r.Same || r.Disks[0].Bytes.Differ == 0 {
		t.Errorf("%+v", r)
	}
}

// TestWrong compares what cannot be compared.
func TestWrong(t *testing.T) {
	dir := t.TempDir()
	raw := disktest.RawFile(t, disktest.Named(t, "1 MiB"))
	cut := writeFile(t, filepath.Join(dir, "cut.qcow2"), "QFI\xfb\x00\x00\x00\x03")
	for path, word := range map[string]string{filepath.Join(dir, "missing"): "no such file", dir: "a folder", cut: "qcow2"} {
		for _, pair := range [][2]string{{raw, path}, {path, raw}} {
			_, err := diff.Run(t.Context(), pair[0], pair[1], diff.Options{})
			if err == nil || fault.KindOf(err) != fault.Input || !strings.Contains(err.Error(), word) || strings.Count(err.Error(), path) != 1 || len(fault.HintsOf(err)) == 0 {
				t.Errorf("%v", err)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := diff.Run(ctx, raw, raw, diff.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := diff.ParseSections([]string{"files", "colours"}); fault.KindOf(err) != fault.Usage {
		t.Errorf("%v", err)
	}
}
