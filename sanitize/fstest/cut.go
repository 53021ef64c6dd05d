package fstest

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Change is one call that changes a disk.
type Change struct {
	off  int64
	data []byte // nil for a punch
	n    int64
}

// String tells the place of the change.
func (c Change) String() string {
	return fmt.Sprintf("%d bytes at byte %d", max(c.n, int64(len(c.data))), c.off)
}

// Recorder is a disk that notes its changes in their order.
type Recorder struct {
	disk.Writer
	Changes []Change
}

// WriteAt notes a write and makes it.
func (r *Recorder) WriteAt(p []byte, off int64) (int, error) {
	r.Changes = append(r.Changes, Change{off: off, data: append([]byte(nil), p...)})
	return r.Writer.WriteAt(p, off)
}

// Punch notes a punch and makes it.
func (r *Recorder) Punch(off, n int64) error {
	r.Changes = append(r.Changes, Change{off: off, n: n})
	return r.Writer.Punch(off, n)
}

// Apply makes the change to another disk.
func (c Change) Apply(t *testing.T, w disk.Writer) {
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
	r := &Recorder{Writer: open(t, whole, true)}
	if _, err := sanitize.Scrub(context.Background(), r, sanitize.Options{Drivers: []sanitize.Driver{s.Driver}}); err != nil {
		t.Fatal(err)
	}
	last := 0
	for i := range cuts {
		n := (i + 1) * len(r.Changes) / (cuts + 1)
		if n == last {
			continue
		}
		last = n
		Copy(t, path, cut)
		w := open(t, cut, true)
		for _, c := range r.Changes[:n] {
			c.Apply(t, w)
		}
		if s.Check != nil {
			s.Check(t, cut)
		}
		Scrub(t, s.Driver, cut)
		SameBytes(t, whole, cut)
		if t.Failed() {
			t.Fatalf("cut after %d of %d changes, the last %v", n, len(r.Changes), r.Changes[n-1])
		}
	}
}
