package unpack_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/builder/store/unpack"
)

var stamp = time.Unix(1_000_000_000, 999)

// The constructors of tar entries.
func dir(name string) *entry {
	return &entry{Header: tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755}}
}
func file(name, text string) *entry {
	return &entry{tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text))}, text}
}
func symlink(name, target string) *entry {
	return &entry{Header: tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777}}
}
func hardlink(name, target string) *entry {
	return &entry{Header: tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target, Mode: 0o644}}
}

type entry struct {
	tar.Header
	text string
}

func (e *entry) mode(m int64) *entry { e.Mode = m; return e }

func layer(t testing.TB, entries ...*entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for _, e := range entries {
		e.ModTime = stamp
		if err := tw.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(tw, e.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// deb wraps files as a Debian package would.
func deb(suffix string, data []byte) []byte {
	var buf bytes.Buffer
	buf.WriteString("!<arch>\n")
	for _, m := range []struct {
		name string
		data []byte
	}{{"debian-binary", []byte("2.0\n")}, {"control.tar", []byte("odd")}, {"data.tar" + suffix, data}} {
		fmt.Fprintf(&buf, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", m.name, 0, 0, 0, "100644", len(m.data))
		buf.Write(m.data)
		if len(m.data)%2 == 1 {
			buf.WriteByte('\n')
		}
	}
	return buf.Bytes()
}

// folder is a temporary folder. Folders without permission would be in the way
// of its removal.
func folder(t testing.TB) string {
	dir := t.TempDir()
	t.Cleanup(func() {
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, _ error) error {
			if d != nil && d.IsDir() {
				return os.Chmod(path, 0o700)
			}
			return nil
		})
	})
	return dir
}

type input struct {
	mediaType string
	data      []byte
}

func oci(t testing.TB, entries ...*entry) input {
	return input{ocispec.MediaTypeImageLayer, layer(t, entries...)}
}

func pkg(t testing.TB, entries ...*entry) input {
	return input{unpack.Deb, deb("", layer(t, entries...))}
}

// apply unpacks layers into a folder.
func apply(t testing.TB, root string, limits unpack.Limits, layers ...input) error {
	t.Helper()
	w, err := unpack.New(root, limits)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, l := range layers {
		if err := w.Layer(t.Context(), l.mediaType, bytes.NewReader(l.data)); err != nil {
			return err
		}
	}
	return w.Finish()
}

// list describes all that is in a folder: path, mode, and content or target.
func list(t testing.TB, root string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		fi, err := d.Info()
		if err != nil {
			return err
		}
		text := fi.Mode().String()
		switch {
		case fi.Mode().IsRegular():
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += " " + string(b)
		case fi.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			text += " " + target
		}
		found[name] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

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

func compress(t testing.TB, suffix string, p []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	var w io.WriteCloser
	switch suffix {
	case "":
		return p
	case ".gz":
		w = gzip.NewWriter(&buf)
	case ".zst":
		var err error
		if w, err = zstd.NewWriter(&buf); err != nil {
			t.Fatal(err)
		}
	default: // by the program that has the suffix as its name
		name := map[string]string{".xz": "xz", ".bz2": "bzip2"}[suffix]
		need(t, name, map[string]string{"xz": "xz-utils", "bzip2": "bzip2"}[name])
		cmd := exec.Command(name, "-c")
		cmd.Stdin = bytes.NewReader(p)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if _, err := w.Write(p); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// need skips a test that cannot run without a program.
func need(t testing.TB, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed; apt-get install %s", name, debian)
	}
	t.Skipf("%s is not installed; apt-get install %s", name, debian)
	return ""
}

func TestCompression(t *testing.T) {
	text := strings.Repeat("some text to compress\n", 10_000)
	data := layer(t, file("f", text))
	for _, suffix := range []string{"", ".gz", ".zst", ".xz", ".bz2"} {
		t.Run("deb"+suffix, func(t *testing.T) {
			packed := compress(t, suffix, data)
			checkText(t, input{unpack.Deb, deb(suffix, packed)}, text)
			if suffix == "" {
				return
			}
			// A flipped bit near the end breaks a checksum.
			packed[len(packed)-6] ^= 1
			if err := apply(t, folder(t), unpack.Limits{}, input{unpack.Deb, deb(suffix, packed)}); err == nil {
				t.Error("a damaged package was accepted")
			}
			if err := apply(t, folder(t), unpack.Limits{}, input{unpack.Deb, deb(suffix, packed[:len(packed)/2])}); err == nil {
				t.Error("half a package was accepted")
			}
		})
	}
	t.Run("xz in Go", func(t *testing.T) {
		packed := compress(t, ".xz", data)
		t.Setenv("PATH", t.TempDir())
		checkText(t, input{unpack.Deb, deb(".xz", packed)}, text)
	})
	for _, l := range []input{
		{ocispec.MediaTypeImageLayer, data},
		{ocispec.MediaTypeImageLayerGzip, compress(t, ".gz", data)},
		{ocispec.MediaTypeImageLayerZstd, compress(t, ".zst", data)},
		{"application/vnd.docker.image.rootfs.diff.tar.gzip", compress(t, ".gz", data)},
		{"application/vnd.docker.image.rootfs.diff.tar", compress(t, ".gz", data)}, // it happens
	} {
		checkText(t, l, text)
	}
	for _, l := range []input{
		{"text/plain", data}, {unpack.Deb, data}, {unpack.Deb, nil}, {unpack.Deb, deb(".lz4", data)},
		{unpack.Deb, bytes.Replace(deb("", data), []byte("2.0\n"), []byte("3.0\n"), 1)},
		{ocispec.MediaTypeImageLayer, []byte("not a tar, but longer than a block" + strings.Repeat(".", 600))},
	} {
		if err := apply(t, folder(t), unpack.Limits{}, l); err == nil {
			t.Errorf("unpacked %d bytes as %s", len(l.data), l.mediaType)
		}
	}
}

func checkText(t *testing.T, l input, want string) {
	t.Helper()
	root := folder(t)
	if err := apply(t, root, unpack.Limits{}, l); err != nil {
		t.Errorf("%s: %v", l.mediaType, err)
		return
	}
	if got, err := os.ReadFile(filepath.Join(root, "f")); err != nil || string(got) != want {
		t.Errorf("%s: got %d bytes, %v", l.mediaType, len(got), err)
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

// TestDpkg compares with what dpkg-deb makes of a real package.
func TestDpkg(t *testing.T) {
	need(t, "dpkg-deb", "dpkg")
	src := t.TempDir()
	script := `
mkdir -p p/DEBIAN p/usr/bin p/usr/share/doc/p p/var/empty
printf 'Package: p\nVersion: 1\nArchitecture: all\nMaintainer: M <m@example.org>\nDescription: d\n' > p/DEBIAN/control
head -c 300000 /dev/zero | tr '\0' x > p/usr/bin/tool
chmod 4755 p/usr/bin/tool; ln p/usr/bin/tool p/usr/bin/link; ln -s tool p/usr/bin/sym
chmod 700 p/var/empty; echo doc > p/usr/share/doc/p/README
find p -exec touch -h -d '2020-02-02 02:02:02.5' {} +
for z in xz gzip zstd none; do dpkg-deb -Z$z --root-owner-group -b p $z.deb >/dev/null || exit 1; done
mkdir x; dpkg-deb -x xz.deb x`
	cmd := exec.Command("sh", "-e", "-c", script)
	cmd.Dir = src
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := list(t, filepath.Join(src, "x"))
	for _, z := range []string{"xz", "gzip", "zstd", "none"} {
		data, err := os.ReadFile(filepath.Join(src, z+".deb"))
		if err != nil {
			t.Fatal(err)
		}
		root := folder(t)
		if err := apply(t, root, unpack.Limits{}, input{unpack.Deb, data}); err != nil {
			t.Errorf("%s: %v", z, err)
			continue
		}
		if diff := cmp.Diff(want, list(t, root)); diff != "" {
			t.Errorf("%s (-dpkg +got):\n%s", z, diff)
		}
		fi, err := os.Stat(filepath.Join(root, "usr/bin"))
		if err != nil || fi.ModTime().Nanosecond() != 0 || fi.ModTime().Year() != 2020 {
			t.Errorf("%s: time of usr/bin: %v %v", z, fi.ModTime(), err)
		}
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
