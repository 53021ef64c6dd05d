package ext_test

import (
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/ext"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// counted counts the bytes that are read.
type counted struct {
	disk.Reader
	bytes atomic.Int64
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	c.bytes.Add(int64(len(p)))
	return c.Reader.ReadAt(p, off)
}

// TestAnew makes a new image of a filesystem that is full of dead bytes: they
// are not read, and the result is that of a scrub in place.
func TestAnew(t *testing.T) {
	fstest.Need(t, "e2fsprogs", "mke2fs")
	dir := t.TempDir()
	path, result := filepath.Join(dir, "old.img"), filepath.Join(dir, "new.img")
	fstest.Program(t, "mke2fs", "-q", "-t", "ext4", path, "128m")
	poisoned := fstest.Poison(t, ext.Driver{}, path)
	old, err := disk.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	r := &counted{Reader: old}
	plan, err := sanitize.Prepare(t.Context(), r, sanitize.Options{Drivers: []sanitize.Driver{ext.Driver{}}, Anew: true})
	if err != nil {
		t.Fatal(err)
	}
	if read := r.bytes.Load(); read > poisoned/4 {
		t.Errorf("%d bytes were read of %d dead ones", read, poisoned)
	}
	if free := plan.Report.Classes[sanitize.Free]; free.Unread == 0 || free.Zeroed < free.Unread || plan.Report.Changed < poisoned {
		t.Errorf("%d bytes changed; free: %+v", plan.Report.Changed, free)
	}
	f, err := disk.CreateFile(result, old.Size())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := disk.Copy(t.Context(), plan.Reader(), nil, f); err != nil {
		t.Fatal(err)
	}
	if err := plan.Prove(t.Context(), f); err != nil {
		t.Error(err)
	}
	fstest.Scrub(t, ext.Driver{}, path)
	fstest.SameBytes(t, path, result)
}
