package squashfs_test

import (
	"bytes"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
	"github.com/imgbuild/imgbuild/sanitize/squashfs"
)

// source writes a tree of files that compress well, badly and not at all, with
// holes, and more of them than a block of a table describes.
func source(t testing.TB) string {
	t.Helper()
	root := t.TempDir()
	noise := make([]byte, 300_000)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	files := map[string][]byte{"noise": noise, "lib/sparse": make([]byte, 1<<20), "zeros": make([]byte, 131072)}
	copy(files["lib/sparse"][400_000:], noise[:5000])
	for i, n := range []int{0, 1, 5000, 131071, 131072, 131073, 400_000} {
		files[string(rune('a'+i))] = bytes.Repeat([]byte{byte(i), 'x', 'y'}, n/3+1)[:n]
	}
	for i := range 600 {
		files["many/a-file-with-a-longer-name-"+strings.Repeat("n", i%40)+string(rune('a'+i%26))] = bytes.Repeat([]byte("many "), i)
	}
	for name, b := range files {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		os.Symlink("lib/sparse", filepath.Join(root, "link")), os.Link(filepath.Join(root, "noise"), filepath.Join(root, "hard")),
		syscall.Mkfifo(filepath.Join(root, "pipe"), 0o600), os.Mkdir(filepath.Join(root, "empty"), 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// mksquashfs writes an image of a tree.
func mksquashfs(t testing.TB, root, path string, args ...string) {
	t.Helper()
	fstest.Program(t, "mksquashfs", append([]string{root, path, "-quiet", "-no-progress"}, args...)...)
}

func TestContract(t *testing.T) {
	fstest.Need(t, "squashfs-tools", "mksquashfs", "unsquashfs")
	root := source(t)
	for name, args := range map[string][]string{
		"gzip": nil, "zstd": {"-comp", "zstd"}, "exports, no fragments": {"-no-fragments", "-exports"},
		"unpadded": {"-nopad"}, "options": {"-comp", "gzip", "-Xcompression-level", "3"}, "xz": {"-comp", "xz"}, "lz4": {"-comp", "lz4"},
		"nothing compressed": {"-noI", "-noD", "-noF", "-noX"}, "large blocks": {"-b", "1M"}, "small blocks": {"-b", "4K", "-always-use-fragments"},
		"lzo": {"-comp", "lzo"},
	} {
		if testing.Short() && name != "gzip" && name != "zstd" && name != "small blocks" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			fstest.Suite{
				Driver: squashfs.Driver{},
				Make: func(t *testing.T, path string) {
					mksquashfs(t, root, path, args...)
					// A partition is seldom full.
					if err := os.Truncate(path, 4<<20); err != nil {
						t.Fatal(err)
					}
				},
				Check: func(t *testing.T, path string) { fstest.Program(t, "unsquashfs", "-s", path) },
				Live: func(t *testing.T, path string) map[string]string {
					dir := filepath.Join(t.TempDir(), "out")
					fstest.Program(t, "unsquashfs", "-no-progress", "-d", dir, path)
					return fstest.Files(t, dir)
				},
			}.Run(t)
		})
	}
}

// TestWalk compares everything that is told of files, their holes too.
func TestWalk(t *testing.T) {
	fstest.Need(t, "squashfs-tools", "mksquashfs")
	root, when := source(t), time.Unix(1_000_000_000, 0).UTC()
	for _, err := range []error{
		os.Chmod(filepath.Join(root, "b"), 0o755|fs.ModeSetuid), os.Chtimes(filepath.Join(root, "b"), when, when),
		syscall.Setxattr(filepath.Join(root, "b"), "user.colour", []byte("red"), 0), syscall.Setxattr(filepath.Join(root, "c"), "user.colour", bytes.Repeat([]byte("blue"), 99), 0),
		syscall.Setxattr(filepath.Join(root, "d"), "user.colour", bytes.Repeat([]byte("blue"), 99), 0),
	} {
		if err != nil {
			t.Skip("the file system for temporary files lacks attributes: ", err)
		}
	}
	path := filepath.Join(t.TempDir(), "image")
	mksquashfs(t, root, path, "-p", "device c 600 7 8 1 3", "-force-uid", "70000", "-force-gid", "80000")
	found := map[string]sanitize.File{}
	for _, f := range walk(t, path) {
		found[f.Path] = f
	}
	b := found["/b"]
	if b.Mode != 0o755|fs.ModeSetuid || !b.ModTime.Equal(when) || b.UID != 70000 || b.GID != 80000 || b.Size != 1 {
		t.Errorf("%+v", b)
	}
	want := map[string][]byte{"user.colour": bytes.Repeat([]byte("blue"), 99)}
	for name, want := range map[string]map[string][]byte{"/b": {"user.colour": []byte("red")}, "/c": want, "/d": want, "/e": nil} {
		if diff := cmp.Diff(want, found[name].Xattrs); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	modes := map[string]fs.FileMode{"/device": fs.ModeDevice | fs.ModeCharDevice | 0o600, "/pipe": fs.ModeNamedPipe | 0o600, "/empty": fs.ModeDir | 0o700, "/": fs.ModeDir | 0o755}
	for name, want := range modes {
		if got := found[name].Mode; got != want {
			t.Errorf("%s has the mode %v, want %v", name, got, want)
		}
	}
	if got := found["/link"].Target; got != "lib/sparse" {
		t.Errorf("the link leads to %q", got)
	}
	holes(t, found["/lib/sparse"])
}

// holes expects one in the sparse file.
func holes(t *testing.T, f sanitize.File) {
	t.Helper()
	c, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	s, ok := c.(sanitize.Locator).Span(0)
	if !ok || !s.Hole || s.End() != 131072 {
		t.Errorf("the sparse file begins with %+v, %v", s, ok)
	}
	if s, ok = c.(sanitize.Locator).Span(400_000); !ok || s.Hole {
		t.Errorf("the data lie in %+v, %v", s, ok)
	}
	if _, ok = c.(sanitize.Locator).Span(f.Size); ok {
		t.Error("there is a span behind the end")
	}
	if n, err := c.ReadAt(make([]byte, 10), f.Size-3); n != 3 || err != io.EOF {
		t.Errorf("at the end %d bytes are read, %v", n, err)
	}
}

func walk(t *testing.T, path string) (files []sanitize.File) {
	t.Helper()
	r, err := disk.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	f, err := squashfs.Driver{}.Open(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	err = f.(sanitize.Walker).Walk(t.Context(), func(f sanitize.File) error {
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// FuzzImages damages images of mksquashfs.
func FuzzImages(f *testing.F) {
	fstest.Need(f, "squashfs-tools", "mksquashfs")
	root := f.TempDir()
	for name, text := range map[string]string{"a": "text", "b/c": strings.Repeat("more text ", 3000), "b/d": ""} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			f.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			f.Fatal(err)
		}
	}
	var images []string
	for _, args := range [][]string{{"-noI", "-noD", "-noF", "-noX"}, {"-comp", "gzip"}, {"-comp", "zstd"}, {"-comp", "lz4", "-no-fragments"}, {"-comp", "xz"}} {
		path := filepath.Join(f.TempDir(), "image")
		mksquashfs(f, root, path, append(args, "-b", "4K")...)
		images = append(images, path)
	}
	fstest.Fuzz(f, squashfs.Driver{}, images...)
}
