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
	return bytes.Contains(written(t, path), marker)
}

// written returns the image at path without most of its zero pages: many traces
// are looked for, and most of an image is zero.
func written(t *testing.T, path string) []byte {
	t.Helper()
	const page = 4096
	zero, buf := make([]byte, page), make([]byte, page)
	var some []byte
	f := open(t, path, false)
	for e, err := range disk.DataExtents(f) {
		if err != nil {
			t.Fatal(err)
		}
		for off := e.Off; off < e.End(); off += page {
			p := buf[:min(page, e.End()-off)]
			if err := sanitize.ReadFull(f, p, off); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(p, zero[:len(p)]) {
				some = append(some, p...)
			} else if !bytes.HasSuffix(some, zero[:2]) { // two end a name of UTF-16, too
				some = append(some, 0, 0)
			}
		}
		some = append(some, 0, 0)
	}
	return some
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
	x, y := open(t, a, false), open(t, b, false)
	if err := disk.Compare(context.Background(), x, y); err != nil {
		t.Error(err)
	}
	if x.Size() != y.Size() {
		t.Errorf("images have %d and %d bytes", x.Size(), y.Size())
	}
}
