package ntfs_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
	"github.com/imgbuild/imgbuild/sanitize/ntfs"
)

// edit opens the volume at path and lets do change it.
func edit(t *testing.T, path string, do func(e *ntfs.Editor)) {
	t.Helper()
	d, err := disk.OpenFileRW(path)
	if err != nil {
		t.Fatal(err)
	}
	do(ntfs.Edit(t, d))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

// Records of system files.
const (
	recordMirror = 1
	recordLog    = 2
	recordVolume = 3
)

// restartPage is a restart page of version 1.1 as Windows writes it, for a log
// of 2 MiB with one client: open, or closed.
func restartPage(lsn uint64, open bool) []byte {
	le := binary.LittleEndian
	b := make([]byte, 4096)
	copy(b, "RSTR")
	le.PutUint16(b[4:], 0x1e)         // update sequence
	le.PutUint16(b[6:], 9)            // its words
	le.PutUint32(b[0x10:], 4096)      // system page
	le.PutUint32(b[0x14:], 4096)      // log page
	le.PutUint16(b[0x18:], 0x30)      // restart area
	le.PutUint16(b[0x1a:], 1)         // version
	le.PutUint16(b[0x1c:], 1)         //
	a := b[0x30:]                     // the restart area
	le.PutUint64(a, lsn)              //
	le.PutUint16(a[8:], 1)            // clients
	le.PutUint16(a[0x0a:], 0)         // first free client
	le.PutUint16(a[0x0c:], 0xffff)    // first client in use
	le.PutUint32(a[0x10:], 67-22)     // bits of a sequence number
	le.PutUint16(a[0x14:], 0x30+0xa0) // length with one client
	le.PutUint16(a[0x16:], 0x30)      // clients
	le.PutUint64(a[0x18:], 2<<20)     // log
	le.PutUint16(a[0x24:], 0x30)      // header of a log record
	le.PutUint16(a[0x26:], 0x40)      // records in a page
	if open {
		le.PutUint16(a[0x0a:], 0xffff)
		le.PutUint16(a[0x0c:], 0)
	}
	c := a[0x30:]
	le.PutUint16(c[0x10:], 0xffff) // no client before or after
	le.PutUint16(c[0x12:], 0xffff)
	le.PutUint32(c[0x1c:], 8)
	copy(c[0x20:], wide("NTFS"))
	for end := 512; end <= len(b); end += 512 {
		copy(b[end-2:], "\x01\x00")
	}
	copy(b[0x1e:], "\x01\x00")
	return b
}

// small writes a volume with a few files that nobody needs ntfs-3g for.
func small(t *testing.T) string {
	t.Helper()
	fstest.Need(t, "ntfs-3g", "mkntfs", "ntfscp", "ntfsfix", "ntfsresize")
	path := filepath.Join(t.TempDir(), "volume.img")
	makeVolume(t, path, 8, "")
	source := filepath.Join(t.TempDir(), "file")
	write(t, source, text("LIVE", 30_000))
	for _, name := range []string{"hiberfil.sys", "file", "secret"} {
		fstest.Program(t, "ntfscp", path, source, "/"+name)
	}
	return path
}

// TestLog empties a log that Windows has closed.
func TestLog(t *testing.T) {
	path := small(t)
	edit(t, path, func(e *ntfs.Editor) {
		e.Content(recordLog, 0, restartPage(100, true))
		e.Content(recordLog, 4096, restartPage(200, false))
		for off := int64(8192); off < 2<<20; off += 4096 {
			e.Content(recordLog, off, append([]byte("RCRD\x28\x00\x09\x00"), text("SECRET", 4000)...))
		}
	})
	check(t, path)
	fstest.Scrub(t, ntfs.Driver{}, path)
	check(t, path)
	if n := len(places(t, path, "SECRET")) + len(places(t, path, "RSTR")); n > 0 {
		t.Errorf("%d traces in the log", n)
	}
	if again := fstest.Scrub(t, ntfs.Driver{}, path); again.Changed != 0 {
		t.Errorf("a second scrub changed %d bytes", again.Changed)
	}
}

// TestRefusal leaves volumes alone that Windows has work to do on.
func TestRefusal(t *testing.T) {
	clean := small(t)
	hibernated := func(magic string) func(e *ntfs.Editor) {
		return func(e *ntfs.Editor) { e.Content(e.Find("/hiberfil.sys"), 0, []byte(magic)) }
	}
	for _, c := range []struct {
		name    string
		refused bool
		change  func(e *ntfs.Editor)
	}{
		{"dirty", true, func(e *ntfs.Editor) { e.Attribute(recordVolume, ntfs.AttrVolumeInfo, "", 0x18+10, []byte{1}) }},
		{"log open", true, func(e *ntfs.Editor) {
			e.Content(recordLog, 0, restartPage(200, true))
			e.Content(recordLog, 4096, restartPage(100, false))
		}},
		{"log open in the second page", true, func(e *ntfs.Editor) {
			e.Content(recordLog, 0, restartPage(100, false))
			e.Content(recordLog, 4096, restartPage(200, true))
		}},
		{"log of zeros", true, func(e *ntfs.Editor) { e.Content(recordLog, 0, make([]byte, 1<<20)) }},
		{"restart page torn", true, func(e *ntfs.Editor) { e.Content(recordLog, 0, restartPage(100, false)[:1024]) }},
		{"log half emptied", false, func(e *ntfs.Editor) { e.Content(recordLog, 4096, restartPage(100, false)) }},
		{"hibernated", true, hibernated("HIBR")},
		{"hibernated, lower case", true, hibernated("hibr")},
		{"resumed", false, hibernated("WAKE")},
		{"mirror differs", true, func(e *ntfs.Editor) { e.Content(recordMirror, 0x60, []byte{0xaa}) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "volume.img")
			fstest.Copy(t, clean, path)
			edit(t, path, c.change)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			d, err := disk.OpenFileRW(path)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			_, err = sanitize.Scrub(context.Background(), d, sanitize.Options{Drivers: []sanitize.Driver{ntfs.Driver{}}})
			if errors.Is(err, sanitize.ErrRefused) != c.refused || !c.refused && err != nil {
				t.Fatalf("the error is %v", err)
			}
			if after, _ := os.ReadFile(path); c.refused && !bytes.Equal(before, after) {
				t.Error("a refused scrub changed the volume")
			}
		})
	}
}

// TestInterrupted cuts scrubs off after some writes: the volume stays sound,
// and another run finishes.
func TestInterrupted(t *testing.T) {
	need(t)
	dir := t.TempDir()
	start, want, path := filepath.Join(dir, "start"), filepath.Join(dir, "want"), filepath.Join(dir, "volume")
	makeVolume(t, start, 16, "")
	fill(t, start, false)
	edit(t, start, func(e *ntfs.Editor) {
		e.Content(recordLog, 0, restartPage(100, false))
		e.Content(recordLog, 4096, restartPage(200, false))
		e.Content(recordLog, 8192, text("SECRET", 100_000))
	})
	tree := live(t, start)
	fstest.Copy(t, start, want)
	fstest.Scrub(t, ntfs.Driver{}, want)
	step := 3
	if testing.Short() {
		step = 12
	}
	for n, done := 0, false; !done; n += 1 + n/step {
		fstest.Copy(t, start, path)
		done = !interrupt(t, path, n)
		check(t, path)
		if diff := cmp.Diff(tree, live(t, path)); diff != "" {
			t.Errorf("after %d writes the live tree is another: %s", n, diff)
		}
		fstest.Scrub(t, ntfs.Driver{}, path)
		fstest.SameBytes(t, want, path)
		if t.Failed() {
			t.Fatalf("after %d writes", n)
		}
	}
}

// interrupt scrubs the volume until n writes have been made, and reports
// whether there were more.
func interrupt(t *testing.T, path string, n int) bool {
	t.Helper()
	d, err := disk.OpenFileRW(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	_, err = sanitize.Scrub(context.Background(), &failing{d, n}, sanitize.Options{Drivers: []sanitize.Driver{ntfs.Driver{}}})
	if err != nil && !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	return err != nil
}

var errCut = errors.New("cut off")

// failing is a disk that takes some writes and no more.
type failing struct {
	disk.Writer
	left int
}

func (f *failing) take() error {
	if f.left--; f.left < 0 {
		return errCut
	}
	return nil
}

func (f *failing) WriteAt(p []byte, off int64) (int, error) {
	if err := f.take(); err != nil {
		return 0, err
	}
	return f.Writer.WriteAt(p, off)
}

func (f *failing) Punch(off, n int64) error {
	if err := f.take(); err != nil {
		return err
	}
	return f.Writer.Punch(off, n)
}
