package fstest

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// change is one call that changes a disk.
type change struct {
	off  int64
	data []byte // nil for a punch
	n    int64
}

// recorder notes the changes in their order.
type recorder struct {
	disk.Writer
	changes []change
}

func (r *recorder) WriteAt(p []byte, off int64) (int, error) {
	r.changes = append(r.changes, change{off: off, data: append([]byte(nil), p...)})
	return r.Writer.WriteAt(p, off)
}

func (r *recorder) Punch(off, n int64) error {
	r.changes = append(r.changes, change{off: off, n: n})
	return r.Writer.Punch(off, n)
}

func (c change) apply(t *testing.T, w disk.Writer) {
	t.Helper()
	var err error
	if c.data != nil {
		_, err = w.WriteAt(c.data, c.off)
	} else {
		err = w.Punch(c.off, c.n)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// cuts is how many moments a scrub is cut off at.
const cuts = 4

// checkCuts cuts a scrub of the image at path off: the checker accepts what is
// left, and another scrub ends where the first would have.
func (s Suite) checkCuts(t *testing.T, path string) {
	t.Helper()
	dir := t.TempDir()
	whole, cut := filepath.Join(dir, "whole.img"), filepath.Join(dir, "cut.img")
	Copy(t, path, whole)
	r := &recorder{Writer: open(t, whole, true)}
	if _, err := sanitize.Scrub(context.Background(), r, sanitize.Options{Drivers: []sanitize.Driver{s.Driver}}); err != nil {
		t.Fatal(err)
	}
	last := 0
	for i := range cuts {
		n := (i + 1) * len(r.changes) / (cuts + 1)
		if n == last {
			continue
		}
		last = n
		Copy(t, path, cut)
		w := open(t, cut, true)
		for _, c := range r.changes[:n] {
			c.apply(t, w)
		}
		if s.Check != nil {
			s.Check(t, cut)
		}
		Scrub(t, s.Driver, cut)
		SameBytes(t, whole, cut)
		if t.Failed() {
			t.Fatalf("cut after %d of %d changes, the last at byte %d", n, len(r.changes), r.changes[n-1].off)
		}
	}
}
