package unpack_test

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/builder/store/unpack"
)

func TestLayers(t *testing.T) {
	const d, f = "drwxr-xr-x", "-rw-r--r--"
	tests := []struct {
		name   string
		layers []input
		want   map[string]string
	}{
		{"kinds and modes", []input{oci(t,
			dir("./").mode(0o711), dir("ro/").mode(0o555), file("ro/f", "x").mode(0o4755), symlink("l", "ro/f"),
			&entry{Header: tar.Header{Name: "dev", Typeflag: tar.TypeChar}}, &entry{Header: tar.Header{Name: "pipe", Typeflag: tar.TypeFifo}},
			dir("sticky").mode(0o1777), file("none", "").mode(0o400))},
			map[string]string{".": "drwx--x--x", "ro": "dr-xr-xr-x", "ro/f": "urwxr-xr-x x", "l": "Lrwxrwxrwx ro/f",
				"sticky": "dtrwxrwxrwx", "none": "-r-------- "}},
		{"folders without entries", []input{oci(t, file("/a/b/c", "x"))},
			map[string]string{".": d, "a": d, "a/b": d, "a/b/c": f + " x"}},
		{"over one another", []input{oci(t, dir("d"), file("d/a", "1"), file("d/b", "1"), file("f", "1"), dir("g"), file("g/x", "1")),
			oci(t, dir("d").mode(0o700), file("d/a", "2"), dir("f"), file("f/y", "2"), file("g", "2"))},
			map[string]string{".": d, "d": "drwx------", "d/a": f + " 2", "d/b": f + " 1", "f": d, "f/y": f + " 2", "g": f + " 2"}},
		{"whiteouts", []input{oci(t, file("d/a", "1"), file("d/b", "1"), file("e/x", "1"), file("e/y/z", "1"), file("h", "1")),
			oci(t, file("d/.wh.a", ""), file("e/new", "2"), file("e/.wh..wh..opq", ""), file("e/y/new", "2"),
				file("h", "2"), file(".wh.h", ""), file(".wh.nothing", ""), file(".wh..wh.plnk", ""))},
			map[string]string{".": d, "d": d, "d/b": f + " 1", "e": d, "e/new": f + " 2", "e/y": d, "e/y/new": f + " 2", "h": f + " 2"}},
		{"a folder that was removed has its mode no more", []input{oci(t, dir("d").mode(0o700), dir("d/e").mode(0o700)),
			oci(t, file(".wh.d", ""), file("d/e/f", "x"))},
			map[string]string{".": d, "d": d, "d/e": d, "d/e/f": f + " x"}},
		{"hard links", []input{oci(t, file("a", "x"), symlink("s", "a"), hardlink("b", "/a"), hardlink("t", "./s"), hardlink("a", "a"))},
			map[string]string{".": d, "a": f + " x", "b": f + " x", "s": "Lrwxrwxrwx a", "t": "Lrwxrwxrwx a"}},
		{"links on the way are followed in the root", []input{oci(t, dir("usr/lib"), symlink("lib", "/usr/lib"), symlink("up", "../../.."),
			symlink("usr/self", "../up/usr"), file("lib/a", "1"), file("up/b", "2"), file("usr/self/c", "3"))},
			map[string]string{".": d, "usr": d, "usr/lib": d, "usr/lib/a": f + " 1", "usr/self": "Lrwxrwxrwx ../up/usr", "usr/c": f + " 3",
				"lib": "Lrwxrwxrwx /usr/lib", "up": "Lrwxrwxrwx ../../..", "b": f + " 2"}},
		{"an image replaces a link by a folder", []input{oci(t, dir("usr/bin"), symlink("bin", "usr/bin")), oci(t, dir("bin"), file("bin/sh", "x"))},
			map[string]string{".": d, "usr": d, "usr/bin": d, "bin": d, "bin/sh": f + " x"}},
		{"a package follows it", []input{oci(t, dir("usr/bin").mode(0o711), symlink("bin", "usr/bin")), pkg(t, dir("./"), dir("./bin/"), file("./bin/sh", "x"))},
			map[string]string{".": d, "usr": d, "usr/bin": "drwx--x--x", "usr/bin/sh": f + " x", "bin": "Lrwxrwxrwx usr/bin"}},
		{"a package does not replace a folder by a link", []input{pkg(t, dir("lib"), file("lib/a", "x")), pkg(t, symlink("lib", "usr/lib"))},
			map[string]string{".": d, "lib": d, "lib/a": f + " x"}},
		{"packages have no whiteouts", []input{pkg(t, file("a", "x")), pkg(t, file(".wh.a", ""))},
			map[string]string{".": d, "a": f + " x", ".wh.a": f + " "}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := folder(t)
			if err := apply(t, root, unpack.Limits{}, test.layers...); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, list(t, root)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTimes(t *testing.T) {
	root := folder(t)
	err := apply(t, root, unpack.Limits{}, oci(t, dir("d"), symlink("d/l", "nowhere"), file("d/e/f", "x")), oci(t, file("d/later", "x")))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int64{".": 0, "d": 1e9, "d/l": 1e9, "d/e": 0, "d/e/f": 1e9, "d/later": 1e9} {
		fi, err := os.Lstat(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := fi.ModTime(); got.UnixNano() != want*1e9 {
			t.Errorf("%s: time %v", name, got)
		}
	}
}

// TestLink builds on a finished tree: files are shared, and the tree stays as
// it was.
func TestLink(t *testing.T) {
	base, top := folder(t), folder(t)
	if err := apply(t, base, unpack.Limits{}, oci(t, dir("d").mode(0o555), file("d/a", "1"), file("d/b", "1"), symlink("bin", "d"))); err != nil {
		t.Fatal(err)
	}
	before := list(t, base)
	w, err := unpack.New(top, unpack.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Link(t.Context(), base); err != nil {
		t.Fatal(err)
	}
	l := oci(t, file("d/a", "2").mode(0o600), hardlink("d/c", "d/b").mode(0o600), file("bin/x", "3"))
	if err := w.Layer(t.Context(), l.mediaType, bytes.NewReader(l.data)); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, list(t, base)); diff != "" {
		t.Errorf("the tree changed (-before +after):\n%s", diff)
	}
	want := map[string]string{".": "drwxr-xr-x", "d": "dr-xr-xr-x", "d/a": "-rw------- 2", "d/b": "-rw-r--r-- 1",
		"d/c": "-rw-r--r-- 1", "d/x": "-rw-r--r-- 3", "bin": "Lrwxrwxrwx d"}
	if diff := cmp.Diff(want, list(t, top)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	a, err := os.Stat(filepath.Join(base, "d/b"))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.Stat(filepath.Join(top, "d/b")); err != nil || !os.SameFile(a, b) {
		t.Errorf("d/b is not shared: %v", err)
	}
}
