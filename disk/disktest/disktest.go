// Package disktest holds the contracts of the disk package as tests: every
// [disk.Reader] passes [TestReader], every container format passes
// [TestFormat].
package disktest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
)

// TestReader checks that r keeps the contract of disk.Reader and holds what
// want holds. A reader may be longer than want, when its format rounds sizes
// up; the rest must read as zero.
func TestReader(t *testing.T, r disk.Reader, want disk.Reader) {
	t.Helper()
	if r.Size() < want.Size() || r.Size() >= want.Size()+disk.BlockSize {
		t.Fatalf("size is %d, want %d", r.Size(), want.Size())
	}
	if err := Diff(r, want); err != nil {
		t.Error(err)
	}
	if err := checkNextData(r); err != nil {
		t.Error(err)
	}
	checkEnd(t, r)
	checkPieces(t, r, want)
}

// Diff returns an error that tells the first difference between two disks, or
// nil. Only what either of them calls data is read. What one disk has beyond
// the other must be zero.
func Diff(a, b disk.Reader) error {
	for _, r := range []disk.Reader{a, b} {
		for e, err := range disk.DataExtents(r) {
			if err != nil {
				return err
			}
			if err := diffRange(a, b, e); err != nil {
				return err
			}
		}
	}
	return nil
}

func diffRange(a, b disk.Reader, e disk.Extent) error {
	const step = 1 << 20
	for off := e.Off; off < e.End(); off += step {
		n := min(step, e.End()-off)
		x, err := readPadded(a, off, n)
		if err != nil {
			return err
		}
		y, err := readPadded(b, off, n)
		if err != nil {
			return err
		}
		if bytes.Equal(x, y) {
			continue
		}
		for i := range x {
			if x[i] != y[i] {
				return fmt.Errorf("byte %d is %#02x, want %#02x", off+int64(i), x[i], y[i])
			}
		}
	}
	return nil
}

// readPadded reads n bytes; those beyond the end are zero.
func readPadded(r disk.Reader, off, n int64) ([]byte, error) {
	p := make([]byte, n)
	if have := min(n, r.Size()-off); have > 0 {
		if got, err := r.ReadAt(p[:have], off); int64(got) != have {
			return nil, fmt.Errorf("reading %d bytes at %d: got %d: %w", have, off, got, err)
		}
	}
	return p, nil
}

// checkNextData asks from every border between runs, and beside it.
func checkNextData(r disk.Reader) error {
	var runs int
	for e, err := range disk.DataExtents(r) {
		if err != nil {
			return err
		}
		if runs++; runs > 2000 {
			break
		}
		for _, off := range []int64{e.Off, e.Off + 1, e.End() - 1} {
			got, err := r.NextData(off)
			if off < e.End() && (err != nil || got.Off != off || got.Len <= 0) {
				return fmt.Errorf("NextData(%d) in run %v: got %v, %v", off, e, got, err)
			}
		}
		if e.Off > 0 {
			if got, err := r.NextData(e.Off - 1); err != nil || got.Off > e.Off {
				return fmt.Errorf("NextData(%d) before run %v: got %v, %v", e.Off-1, e, got, err)
			}
		}
	}
	return nil
}

// checkEnd tries the end of the disk and what is beyond.
func checkEnd(t *testing.T, r disk.Reader) {
	t.Helper()
	size := r.Size()
	for _, off := range []int64{size, size + 1, size + 1<<40} {
		if e, err := r.NextData(off); !errors.Is(err, io.EOF) {
			t.Errorf("NextData(%d) beyond the end: got %v, %v", off, e, err)
		}
		if n, err := r.ReadAt(make([]byte, 1), off); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("ReadAt(%d) beyond the end: got %d, %v", off, n, err)
		}
	}
	if size >= 10 {
		p := bytes.Repeat([]byte{0xAA}, 20)
		if n, err := r.ReadAt(p, size-10); n != 10 || !errors.Is(err, io.EOF) {
			t.Errorf("ReadAt across the end: got %d, %v", n, err)
		}
	}
	if n, err := r.ReadAt(make([]byte, 1), -1); n != 0 || err == nil {
		t.Errorf("ReadAt(-1): got %d, %v", n, err)
	}
}

// checkPieces reads pieces of odd sizes, from several goroutines at a time.
func checkPieces(t *testing.T, r, want disk.Reader) {
	t.Helper()
	var spots []int64
	for e, err := range disk.DataExtents(want) {
		if err != nil {
			t.Fatal(err)
		}
		spots = append(spots, e.Off, e.End())
		if len(spots) > 1000 {
			break
		}
	}
	if len(spots) == 0 {
		return
	}
	rounds := 50
	if testing.Short() {
		rounds = 8
	}
	var wg sync.WaitGroup
	for g := range uint64(4) {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(g, 1))
			for range rounds {
				n := 1 + rnd.Int64N(100_000)
				off := max(spots[rnd.IntN(len(spots))]-rnd.Int64N(n+1), 0)
				if off >= want.Size() {
					continue
				}
				n = min(n, want.Size()-off)
				got := bytes.Repeat([]byte{0xAA}, int(n))
				if k, err := r.ReadAt(got, off); int64(k) != n {
					t.Errorf("reading %d bytes at %d: got %d, %v", n, off, k, err)
					return
				}
				if w, err := readPadded(want, off, n); err != nil || !bytes.Equal(got, w) {
					t.Errorf("%d bytes at %d differ (%v)", n, off, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
