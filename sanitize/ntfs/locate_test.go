package ntfs_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
	"github.com/imgbuild/imgbuild/sanitize/ntfs"
)

// TestSpan reads files where they are said to be stored.
func TestSpan(t *testing.T) {
	need(t)
	path := filepath.Join(t.TempDir(), "volume.img")
	makeVolume(t, path, 24, "")
	fill(t, path, true)
	d, err := disk.OpenFile(path)
	must(t, err)
	defer d.Close()
	fsys, err := ntfs.Driver{}.Open(context.Background(), d)
	must(t, err)
	stored, holes := 0, 0
	must(t, fsys.(sanitize.Walker).Walk(context.Background(), func(f sanitize.File) error {
		if f.Open == nil {
			return nil
		}
		c, err := f.Open()
		must(t, err)
		for off := int64(0); off < f.Size; {
			s, ok := c.(sanitize.Locator).Span(off)
			if !ok || s.Off > off || s.End() <= off || s.End() > f.Size {
				t.Fatalf("byte %d of %s is in %+v, %v", off, f.Path, s, ok)
			}
			want, got := make([]byte, s.End()-off), make([]byte, s.End()-off)
			must(t, sanitize.ReadFull(c, want, off))
			switch {
			case s.Hole:
				holes++
			case s.At >= 0:
				stored++
				must(t, sanitize.ReadFull(d, got, s.At+off-s.Off))
			}
			if (s.Hole || s.At >= 0) && !bytes.Equal(want, got) {
				t.Errorf("bytes from %d of %s are not in %+v", off, f.Path, s)
			}
			off = s.End()
		}
		return nil
	}))
	if stored < 50 || holes == 0 {
		t.Errorf("%d stretches are stored, %d are holes", stored, holes)
	}
}

// TestHugeHole scrubs a volume with a file of a tebibyte that holds next to
// nothing, as the journal of changes is.
func TestHugeHole(t *testing.T) {
	need(t)
	path := filepath.Join(t.TempDir(), "volume.img")
	makeVolume(t, path, 8, "")
	mounted(t, path, "", func(dir string) {
		write(t, filepath.Join(dir, "journal"), []byte("LIVE"))
		must(t, os.Truncate(filepath.Join(dir, "journal"), 1<<40))
	})
	fstest.Scrub(t, ntfs.Driver{}, path)
}
