package unpack_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/builder/store/unpack"
)

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
