//go:build linux

package formats_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/formats"
	"github.com/imgbuild/imgbuild/output/outputtest"
)

// appliance is one that every format can write.
func appliance(t *testing.T) output.Appliance {
	t.Helper()
	dir := t.TempDir()
	file := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("content of "+name), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a := outputtest.Appliance()
	a.Tree, a.Kernel.Image, a.Parts = outputtest.Tree(t), file("vmlinuz"), map[output.Part]string{}
	for _, f := range formats.All() {
		if asks, ok := f.(output.Asks); ok {
			for _, part := range asks.Parts() {
				a.Parts[part] = file(string(part))
			}
		}
	}
	return a
}

// everything selects all formats.
func everything(t *testing.T) []output.Selected {
	t.Helper()
	var all []output.Selected
	for _, f := range formats.All() {
		s, err := formats.Select(f.Name(), nil)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

func openDir(t *testing.T, path string) *output.Dir {
	t.Helper()
	d, err := output.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// alone returns what each format writes by itself, by its name.
func alone(t *testing.T, a output.Appliance, d disk.Reader, selected []output.Selected) map[string][]output.File {
	t.Helper()
	made := map[string][]output.File{}
	for _, s := range selected {
		files, err := output.Write(t.Context(), a, d, openDir(t, t.TempDir()), []output.Selected{s}, nil)
		if err != nil {
			t.Fatalf("%s: %v", s.Format.Name(), err)
		}
		made[s.Format.Name()] = files
	}
	return made
}

// byFormat sorts files by their formats.
func byFormat(files []output.File) map[string][]output.File {
	m := map[string][]output.File{}
	for _, f := range files {
		m[f.Format] = append(m[f.Format], f)
	}
	return m
}

// A file system may give the same bytes more or less room.
var ignoreAllocated = cmpopts.IgnoreFields(output.File{}, "Allocated")

// counted counts how often each block of a disk is read.
type counted struct {
	disk.Reader
	mu    sync.Mutex
	reads map[int64]int
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	c.mu.Lock()
	for at := off / disk.BlockSize; at*disk.BlockSize < off+int64(len(p)); at++ {
		c.reads[at]++
	}
	c.mu.Unlock()
	return c.Reader.ReadAt(p, off)
}

// TestTogether writes all formats from one disk at the same time: it is read
// once, and every file is what the format writes alone.
func TestTogether(t *testing.T) {
	a, selected := appliance(t), everything(t)
	for _, name := range []string{"mixed", "islands"} {
		if testing.Short() && name == "islands" {
			continue
		}
		d := &counted{Reader: disktest.Named(t, name), reads: map[int64]int{}}
		want := alone(t, a, d.Reader, selected)
		dir := t.TempDir()
		files, err := output.Write(t.Context(), a, d, openDir(t, dir), selected, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, byFormat(files), ignoreAllocated); diff != "" {
			t.Errorf("%s: together other files were made (-alone +together):\n%s", name, diff)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != len(files) {
			t.Errorf("%s: %d files were made, the folder holds %d (%v)", name, len(files), len(entries), err)
		}
		for block, n := range d.reads {
			if n != 1 {
				t.Errorf("%s: block %d was read %d times", name, block, n)
				break
			}
		}
		if len(d.reads) == 0 {
			t.Errorf("%s: the disk was not read", name)
		}
	}
}

// elsewhere is a writer that is given another folder.
type elsewhere struct {
	output.Writer
	dir *output.Dir
}

func (e elsewhere) Begin(ctx context.Context, a output.Appliance, _ *output.Dir, size int64) (output.Sink, error) {
	return e.Writer.Begin(ctx, a, e.dir, size)
}

// TestOneFails lets one format after the other run out of room, beside others of
// one file and of several: it leaves nothing, and they do not notice.
func TestOneFails(t *testing.T) {
	a, selected, d := appliance(t), everything(t), disktest.Named(t, "noise")
	want := alone(t, a, d, selected)
	for _, s := range selected {
		name := s.Format.Name()
		const room = 64 << 10
		if total(want[name]) < 2*room || testing.Short() && name != "qcow2" && name != "ova" {
			continue // it fits
		}
		small, good := t.TempDir(), t.TempDir()
		mountSmall(t, small, room)
		want := map[string][]output.File{name: want[name], "raw": want["raw"], "ovf": want["ovf"]}
		var all []output.Selected
		for _, s := range selected {
			if want[s.Format.Name()] != nil {
				all = append(all, s)
			}
		}
		at := slices.IndexFunc(all, func(s output.Selected) bool { return s.Format.Name() == name })
		all[at].Writer = elsewhere{s.Writer, openDir(t, small)}
		files, err := output.Write(t.Context(), a, d, openDir(t, good), all, nil)
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: the error is %v", name, err)
		}
		got := byFormat(files)
		if len(got[name]) > 0 {
			t.Errorf("%s: files without room: %v", name, got[name])
		}
		got[name] = want[name]
		if diff := cmp.Diff(want, got, ignoreAllocated); diff != "" {
			t.Errorf("%s failed, and others differ:\n%s", name, diff)
		}
		left, err := os.ReadDir(small)
		if err != nil || len(left) > 0 {
			t.Errorf("%s left %v behind (%v)", name, left, err)
		}
		if left, err = os.ReadDir(good); err != nil || len(left) != len(files) {
			t.Errorf("%s failed: %d files, the folder holds %d (%v)", name, len(files), len(left), err)
		}
	}
}

// total is the room that files take.
func total(files []output.File) int64 {
	var n int64
	for _, f := range files {
		n += f.Allocated
	}
	return n
}
