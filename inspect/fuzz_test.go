package inspect

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/output/layout"
	"github.com/imgbuild/imgbuild/output/members"
	"github.com/imgbuild/imgbuild/output/outputtest"
)

// archive returns a container image as a build exports it.
func archive(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := outputtest.Tree(t).Export(t.Context(), path, "docker.io/library/hello:1"); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

// FuzzLayout reads archives of container images, and writes what was found:
// no text of an image may steer the terminal.
func FuzzLayout(f *testing.F) {
	f.Add(archive(f))
	f.Fuzz(func(t *testing.T, p []byte) { tryLayout(t, p) })
}

// TestDamagedLayout changes each byte of the headers and of the JSON in a real
// archive.
func TestDamagedLayout(t *testing.T) {
	whole := archive(t)
	if !tryLayout(t, whole) {
		t.Fatal("the archive as it was made is not read")
	}
	step := 1
	if testing.Short() {
		step = 37
	}
	for i := 0; i < len(whole); i += step {
		if whole[i] == 0 {
			continue
		}
		for _, c := range []byte{0, whole[i] ^ 1, 0x1b} {
			p := bytes.Clone(whole)
			p[i] = c
			tryLayout(t, p)
		}
		tryLayout(t, whole[:i])
	}
}

// tryLayout reports whether an archive could be read.
func tryLayout(t *testing.T, p []byte) bool {
	t.Helper()
	list, err := members.Index(bytes.NewReader(p), int64(len(p)))
	if err != nil {
		return false
	}
	r := &Report{Path: "fuzz"}
	if err := r.readLayout(t.Context(), layout.Archive(bytes.NewReader(p), list)); err != nil {
		return false
	}
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsFunc(b.String(), func(c rune) bool { return c < ' ' && c != '\n' || c == 0x7f || c == 0x9b }) {
		t.Fatalf("a control character in\n%q", b.String())
	}
	return true
}
