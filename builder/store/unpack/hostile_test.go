package unpack_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/builder/store/unpack"
)

// TestHostile unpacks what tries to leave the folder. Whether it is refused or
// tamed, nothing outside may change.
func TestHostile(t *testing.T) {
	tests := []struct {
		name    string
		entries []*entry
		refused bool
	}{
		{"dots", []*entry{file("../outside", "x")}, true},
		{"dots inside", []*entry{file("a/../../outside", "x")}, true},
		{"absolute", []*entry{file("/outside", "x")}, false},
		{"link to the parent", []*entry{symlink("up", ".."), file("up/outside", "x")}, false},
		{"absolute link", []*entry{symlink("etc", "/"), file("etc/outside", "x")}, false},
		{"link through a link", []*entry{symlink("a", "."), symlink("a/b", "../.."), file("b/outside", "x")}, false},
		{"hard link to the outside", []*entry{hardlink("l", "../secret"), file("l", "x")}, true},
		{"hard link by a link", []*entry{symlink("up", ".."), hardlink("l", "up/secret")}, true},
		{"file over a link", []*entry{symlink("f", "../outside"), file("f", "x")}, false},
		{"folder over a link", []*entry{symlink("d", ".."), dir("d").mode(0o700)}, false},
		{"whiteout of the outside", []*entry{symlink("up", ".."), file("up/.wh.secret", "")}, false},
		{"whiteout of the parent", []*entry{file("a/.wh...", "")}, true},
		{"whiteout of the folder", []*entry{file(".wh..", "")}, true},
		{"opaque outside", []*entry{symlink("up", ".."), file("up/.wh..wh..opq", "")}, false},
		{"endless link", []*entry{symlink("a", "b"), symlink("b", "a"), file("a/f", "x")}, true},
		{"file as a folder", []*entry{file("f", "x"), file("f/g", "x")}, true},
		{"file as the root", []*entry{file(".", "x")}, true},
		{"link as the root", []*entry{symlink(".", "/")}, true},
	}
	for _, test := range tests {
		for _, in := range []input{oci(t, test.entries...), pkg(t, test.entries...)} {
			t.Run(test.name+" "+in.mediaType, func(t *testing.T) {
				outer := folder(t)
				root := filepath.Join(outer, "root")
				if err := os.Mkdir(root, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(outer, "secret"), []byte("s"), 0o644); err != nil {
					t.Fatal(err)
				}
				err := apply(t, root, unpack.Limits{}, in)
				if test.refused && err == nil && in.mediaType != unpack.Deb {
					t.Error("it was not refused")
				}
				names, err := os.ReadDir(outer)
				if err != nil || len(names) != 2 {
					t.Fatalf("outside there are %v %v", names, err)
				}
				fi, err := os.Stat(filepath.Join(outer, "secret"))
				if err != nil || fi.Sys().(*syscall.Stat_t).Nlink != 1 || fi.Size() != 1 {
					t.Errorf("the secret was touched: %v %v", fi, err)
				}
				if fi, err := os.Stat(outer); err != nil || fi.Mode().Perm() == 0o700 {
					t.Errorf("the mode outside: %v %v", fi.Mode(), err)
				}
			})
		}
	}
	if _, err := os.Lstat("/outside"); err == nil {
		t.Error("/outside exists")
	}
}

func TestLimits(t *testing.T) {
	bomb := input{ocispec.MediaTypeImageLayerGzip, compress(t, ".gz", layer(t, file("zeros", strings.Repeat("\x00", 1<<20))))}
	if err := apply(t, folder(t), unpack.Limits{Bytes: 1<<20 - 1}, bomb); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("error %v", err)
	}
	if err := apply(t, folder(t), unpack.Limits{Bytes: 1 << 20}, bomb); err != nil {
		t.Error(err)
	}
	if err := apply(t, folder(t), unpack.Limits{Entries: 2}, oci(t, file("a", ""), file("b", ""), file("c", ""))); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("error %v", err)
	}
	trailing := oci(t, file("a", "x"))
	trailing.data = append(trailing.data, make([]byte, 2<<20)...)
	if err := apply(t, folder(t), unpack.Limits{}, trailing); err == nil {
		t.Error("accepted an endless end")
	}
}

func FuzzLayer(f *testing.F) {
	f.Add(layer(f, dir("d"), file("d/a", "x"), symlink("l", "d"), hardlink("h", "d/a"), file("d/.wh.a", "")), false)
	f.Add(deb(".gz", compress(f, ".gz", layer(f, file("a", "x")))), true)
	f.Add(deb("", layer(f, symlink("up", ".."), file("up/x", "x"))), true)
	f.Add(compress(f, ".zst", layer(f, file("a", "x"))), false)
	f.Fuzz(func(t *testing.T, data []byte, isDeb bool) {
		outer := folder(t)
		root := filepath.Join(outer, "root")
		if err := os.Mkdir(root, 0o755); err != nil {
			t.Fatal(err)
		}
		l := input{ocispec.MediaTypeImageLayer, data}
		if isDeb {
			l.mediaType = unpack.Deb
		}
		// An error is as good as none; it is the way there that matters.
		_ = apply(t, root, unpack.Limits{Bytes: 1 << 20, Entries: 100}, l)
		names, err := os.ReadDir(outer)
		if err != nil || len(names) != 1 {
			t.Fatalf("outside there are %v %v", names, err)
		}
	})
}
