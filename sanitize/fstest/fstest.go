// Package fstest is the contract that every filesystem driver passes, with the
// filesystem's own programs as judges.
//
// A driver's test describes how to make an image and who judges it, and calls
// [Suite.Run]:
//
//   - the regions tile the image, and nothing is unknown;
//   - the driver's walk reads what the filesystem's own program reads, and each
//     file is stored where it says;
//   - every dead byte is poisoned, the image is scrubbed, and it must be the
//     same, byte for byte, as a scrub of the image without poison;
//   - the filesystem's own checker is content with the result;
//   - a scrub that is cut off leaves what the checker accepts, and another one
//     ends where the first would have;
//   - a second scrub changes nothing.
//
// The poison makes the classes meet: bytes that are called dead and are not
// break the checker, the walk or the second ledger.
package fstest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Suite describes a driver and the programs that know its filesystem.
type Suite struct {
	Driver sanitize.Driver
	// Make writes an image to path.
	Make func(t *testing.T, path string)
	// Check fails the test unless the filesystem's own checker is content.
	Check func(t *testing.T, path string)
	// Live returns what the filesystem's own programs read: for each regular
	// file its digest, as [Sum] has it, and for each directory "dir". It may
	// be nil when no program reads the filesystem.
	Live func(t *testing.T, path string) map[string]string
	// Unknown allows regions that nobody can name.
	Unknown bool
}

// Run holds the driver to the contract.
func (s Suite) Run(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	clean, poisoned := filepath.Join(dir, "clean.img"), filepath.Join(dir, "poisoned.img")
	s.Make(t, clean)
	if s.Check != nil {
		s.Check(t, clean)
	}
	Copy(t, clean, poisoned)
	s.checkLedger(t, clean)
	before := s.walk(t, clean)

	s.checkCuts(t, clean)

	poisonedBytes := Poison(t, s.Driver, poisoned)
	report := Scrub(t, s.Driver, poisoned)
	if report.Changed < poisonedBytes {
		t.Errorf("scrub changed %d bytes of %d that were poisoned", report.Changed, poisonedBytes)
	}
	Scrub(t, s.Driver, clean)
	SameBytes(t, clean, poisoned)
	if s.Check != nil {
		s.Check(t, poisoned)
	}
	if diff := cmp.Diff(before, s.walk(t, poisoned)); diff != "" {
		t.Errorf("scrub changed the live tree (-before +after):\n%s", diff)
	}
	Copy(t, poisoned, clean)
	if again := Scrub(t, s.Driver, poisoned); again.Changed != 0 {
		t.Errorf("a second scrub changed %d bytes", again.Changed)
	}
	SameBytes(t, clean, poisoned)
}

// checkLedger reads the ledger, which checks the tiling, and looks for bytes
// without an owner.
func (s Suite) checkLedger(t *testing.T, path string) {
	t.Helper()
	l := Read(t, s.Driver, path)
	if len(l.Volumes) != 1 || l.Volumes[0].Driver != s.Driver.Name() {
		t.Fatalf("volumes are %+v, want one of driver %s", l.Volumes, s.Driver.Name())
	}
	for _, g := range l.Regions {
		if g.Class == sanitize.Unknown && !s.Unknown {
			t.Errorf("%d bytes at byte %d are unknown: %s", g.Len, g.Off, g.Owner)
		}
	}
}

// walk reads the tree with the driver and compares it with what the
// filesystem's own programs read.
func (s Suite) walk(t *testing.T, path string) map[string]string {
	t.Helper()
	tree := Tree(t, s.Driver, path)
	if tree == nil || s.Live == nil {
		return tree
	}
	want := s.Live(t, path)
	if len(want) == 0 {
		t.Fatal("the filesystem's own programs read nothing")
	}
	got := map[string]string{}
	for name, v := range tree {
		if v != "other" {
			got[name] = v
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the walk differs from what the filesystem's own programs read (-theirs +ours):\n%s", diff)
	}
	return tree
}

// Tree walks the image at path: the digest of each regular file, "dir" for
// directories, "other" for the rest. It is nil when the driver is no
// [sanitize.Walker].
func Tree(t *testing.T, d sanitize.Driver, path string) map[string]string {
	t.Helper()
	r := open(t, path, false)
	fsys, err := d.Open(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	w, ok := fsys.(sanitize.Walker)
	if !ok {
		return nil
	}
	tree := map[string]string{}
	err = w.Walk(context.Background(), func(f sanitize.File) error {
		kind := "other"
		switch {
		case f.Mode&fs.ModeDir != 0:
			kind = "dir"
		case f.Mode.IsRegular():
			c, err := f.Open()
			if err != nil {
				return err
			}
			kind = Sum(t, io.NewSectionReader(c, 0, f.Size))
			if l, ok := c.(sanitize.Locator); ok {
				checkSpans(t, r, f, c, l)
			}
		}
		if _, ok := tree[f.Path]; ok {
			t.Errorf("the walk meets %s twice", f.Path)
		}
		tree[f.Path] = kind
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// checkSpans reads a file where it is said to be stored.
func checkSpans(t *testing.T, r disk.Reader, f sanitize.File, c sanitize.Content, l sanitize.Locator) {
	t.Helper()
	for off := int64(0); off < f.Size; {
		s, ok := l.Span(off)
		if !ok || s.Off > off || s.End() <= off || s.End() > f.Size {
			t.Errorf("byte %d of %s is in %+v, %v", off, f.Path, s, ok)
			return
		}
		n := min(s.End()-off, 1<<20)
		if s.At >= 0 || s.Hole {
			want, got := make([]byte, n), make([]byte, n)
			err := sanitize.ReadFull(c, got, off)
			if err == nil && !s.Hole {
				err = sanitize.ReadFull(r, want, s.At+off-s.Off)
			}
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("bytes from %d of %s are not in %+v (%v)", off, f.Path, s, err)
			}
		}
		off += n
	}
	if s, ok := l.Span(f.Size); ok {
		t.Errorf("the end of %s is in %+v", f.Path, s)
	}
}

// Files reads the tree at root of the host in the form of [Suite.Live].
func Files(t *testing.T, root string) map[string]string {
	t.Helper()
	tree := map[string]string{}
	err := filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := "/"
		if p != root {
			name = p[len(root):]
		}
		switch {
		case e.IsDir():
			tree[name] = "dir"
		case e.Type().IsRegular():
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			tree[name] = Sum(t, bytes.NewReader(b))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// Sum returns the digest of what r holds.
func Sum(t *testing.T, r io.Reader) string {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Program runs a program and returns what it printed on its standard output.
// The test fails when the program does.
func Program(t testing.TB, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var out, diag bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diag
	cmd.Env = append(os.Environ(), "LC_ALL=C", "MTOOLS_SKIP_CHECK=1")
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v\n%s%s", name, args, err, &out, &diag)
	}
	return out.String()
}

// Need skips the test when a program of the Debian package pkg is missing; on
// a CI machine that is a failure.
func Need(t testing.TB, pkg string, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is missing: install the Debian package %s", p, pkg)
			}
			t.Skipf("%s is missing: install the Debian package %s", p, pkg)
		}
	}
}

func open(t *testing.T, path string, write bool) *disk.File {
	t.Helper()
	openDisk := disk.OpenFile
	if write {
		openDisk = disk.OpenFileRW
	}
	f, err := openDisk(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}
