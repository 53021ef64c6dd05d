package fstest

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Read takes the ledger of the image at path.
func Read(t *testing.T, d sanitize.Driver, path string) *sanitize.Ledger {
	t.Helper()
	l, err := sanitize.Read(context.Background(), open(t, path, false), []sanitize.Driver{d}, sanitize.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Scrub scrubs the image at path and requires that the proof holds.
func Scrub(t *testing.T, d sanitize.Driver, path string) *sanitize.Report {
	t.Helper()
	report, err := sanitize.Scrub(context.Background(), open(t, path, true), sanitize.Options{Drivers: []sanitize.Driver{d}})
	if err != nil {
		t.Fatal(err)
	}
	if report.Proof == nil || !report.Proof.OK {
		t.Fatalf("the proof is %+v", report.Proof)
	}
	return report
}

// Poison overwrites every dead byte of the image at path and returns how many
// there were.
func Poison(t *testing.T, d sanitize.Driver, path string) int64 {
	t.Helper()
	var total int64
	f := open(t, path, true)
	for _, g := range Read(t, d, path).Regions {
		if !g.Class.Dead() {
			continue
		}
		if _, err := f.WriteAt(bytes.Repeat([]byte{0xa7}, int(g.Len)), g.Off); err != nil {
			t.Fatal(err)
		}
		total += g.Len
	}
	return total
}

// Contains reports whether the image at path holds marker.
func Contains(t *testing.T, path string, marker []byte) bool {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(b, marker)
}

// Remnants returns where the image at path has names of deleted files, by the
// names. Each must stand where it is said to.
func Remnants(t *testing.T, d sanitize.Driver, path string) map[string]string {
	t.Helper()
	f := open(t, path, false)
	fsys, err := d.Open(context.Background(), f)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	err = fsys.(sanitize.Rememberer).Remnants(context.Background(), func(r sanitize.Remnant) error {
		b := make([]byte, len(r.Name))
		if err := sanitize.ReadFull(f, b, r.Off); err != nil || string(b) != r.Name {
			t.Errorf("at byte %d is %q (%v), not %q", r.Off, b, err, r.Name)
		}
		names[r.Name] = r.Where
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// Copy copies a disk image and leaves out its zeros.
func Copy(t *testing.T, from, to string) {
	t.Helper()
	src := open(t, from, false)
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	dst, err := disk.CreateFile(to, src.Size())
	if err != nil {
		t.Fatal(err)
	}
	if err := disk.Copy(context.Background(), src, nil, dst); err != nil {
		t.Fatal(err)
	}
	if err := dst.Close(); err != nil {
		t.Fatal(err)
	}
}

// SameBytes requires that two files are equal.
func SameBytes(t *testing.T, a, b string) {
	t.Helper()
	x, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(x, y) {
		return
	}
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			t.Errorf("images differ first at byte %d", i)
			return
		}
	}
	t.Errorf("images have %d and %d bytes", len(x), len(y))
}
