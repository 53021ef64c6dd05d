package ntfs_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf16"

	"github.com/imgbuild/imgbuild/sanitize/fstest"
	"github.com/imgbuild/imgbuild/sanitize/ntfs"
)

// wide is s as NTFS stores names.
func wide(s string) []byte {
	var b []byte
	for _, c := range utf16.Encode([]rune(s)) {
		b = append(b, byte(c), byte(c>>8))
	}
	return b
}

// places returns where marker is in the image, in both forms of text.
func places(t *testing.T, path, marker string) []int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, m := range [][]byte{[]byte(marker), wide(marker)} {
		for off := 0; ; {
			i := bytes.Index(b[off:], m)
			if i < 0 {
				break
			}
			found, off = append(found, off+i), off+i+1
		}
	}
	return found
}

// TestMarkers looks for what was deleted, in the raw bytes.
func TestMarkers(t *testing.T) {
	need(t)
	path := filepath.Join(t.TempDir(), "volume.img")
	makeVolume(t, path, 24, "")
	fill(t, path, true)
	before := len(places(t, path, "SECRET"))
	live := owned(t, path, "LIVE")
	if before < 1000 {
		t.Fatalf("the volume holds only %d traces of what was deleted", before)
	}
	fstest.Scrub(t, ntfs.Driver{}, path)
	after := places(t, path, "SECRET")
	l := fstest.Read(t, ntfs.Driver{}, path)
	for _, off := range after {
		g, _ := l.At(int64(off))
		t.Errorf("a trace at byte %d, in %s of %s", off, g.Class, g.Owner)
	}
	t.Logf("%d traces before, %d after", before, len(after))
	if got := owned(t, path, "LIVE"); got != live || live == 0 {
		t.Errorf("%d live marks where %d were", got, live)
	}
}

// owned counts the places of marker that are not dead.
func owned(t *testing.T, path, marker string) int {
	t.Helper()
	l, n := fstest.Read(t, ntfs.Driver{}, path), 0
	for _, off := range places(t, path, marker) {
		if g, ok := l.At(int64(off)); ok && !g.Class.Dead() {
			n++
		}
	}
	return n
}
