package drivers_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/part"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/drivers"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// prefixes bounds how many cuts are judged.
const prefixes = 24

// TestCut cuts a scrub in place off after each of its changes: the checkers
// accept what is left, and another scrub ends where the first would have.
func TestCut(t *testing.T) {
	dir := t.TempDir()
	dirty, whole, cut := filepath.Join(dir, "dirty"), filepath.Join(dir, "whole"), filepath.Join(dir, "cut")
	appliance(t, dirty)
	dirtyEntries(t, dirty)
	judge(t, dirty)
	fstest.Copy(t, dirty, whole)
	ctx, opts := context.Background(), sanitize.Options{Drivers: drivers.All()}

	w, err := disk.OpenFileRW(whole)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r := &fstest.Recorder{Writer: w}
	if _, err := sanitize.Scrub(ctx, r, opts); err != nil {
		t.Fatal(err)
	}
	if len(r.Changes) < 10 {
		t.Fatalf("only %d changes", len(r.Changes))
	}
	step := max(len(r.Changes)/prefixes, 1)
	if testing.Short() {
		step *= 6
	}
	if fstest.Contains(t, whole, []byte("GONE-PARTITION")) {
		t.Error("a deleted partition's name is still there")
	}
	for n := 1; n < len(r.Changes); n += step {
		fstest.Copy(t, dirty, cut)
		f, err := disk.OpenFileRW(cut)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range r.Changes[:n] {
			c.Apply(t, f)
		}
		// Between the two copies of the GPT, which come last, sgdisk would find
		// that they differ.
		if n < len(r.Changes)-1 {
			judge(t, cut)
		} else if table, err := part.Parse(f); err != nil || len(table.Notes) > 1 {
			t.Errorf("the table has the notes %v (%v)", table.Notes, err)
		}
		if _, err := sanitize.Scrub(ctx, f, opts); err != nil {
			t.Fatalf("after %d of %d changes: %v", n, len(r.Changes), err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		fstest.SameBytes(t, whole, cut)
		if t.Failed() {
			t.Fatalf("cut after %d of %d changes, the last %v", n, len(r.Changes), r.Changes[n-1])
		}
	}
}

// dirtyEntries leaves the name of a deleted partition in both copies of the
// GPT, under checksums that hold, as a careless tool does.
func dirtyEntries(t *testing.T, path string) {
	t.Helper()
	f, err := disk.OpenFileRW(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table, err := part.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	const inEntry100 = 99*128 + 56
	for _, array := range []int64{2 * disk.SectorSize, f.Size() - 33*disk.SectorSize} {
		if _, err := f.WriteAt([]byte("GONE-PARTITION"), array+inEntry100); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.Reseal(f); err != nil {
		t.Fatal(err)
	}
}
