package image_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/disk/image"
	"github.com/imgbuild/imgbuild/fault"
)

// compare lets qemu-img read an image, and compares.
func compare(t *testing.T, path, format string) {
	t.Helper()
	r, _, closer, err := image.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	raw := filepath.Join(t.TempDir(), "raw")
	disktest.Run(t, disktest.Program(t, "qemu-img", "qemu-utils"), "convert", "-f", format, "-O", "raw", path, raw)
	want, err := disk.OpenFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	disktest.TestReader(t, r, want)
}

// TestBackingChain reads chains of qcow2 images of several kinds, the lowest
// of which is shorter than those on top.
func TestBackingChain(t *testing.T) {
	qemu, io := disktest.Program(t, "qemu-img", "qemu-utils"), disktest.Program(t, "qemu-io", "qemu-utils")
	for _, c := range []struct{ format, opts string }{
		{"raw", "compat=1.1"}, {"qcow2", "compat=0.10"}, {"qcow2", "extended_l2=on"}, {"vmdk", "cluster_size=4k"}, {"vpc", "compat=1.1"},
	} {
		t.Run(c.format+","+c.opts, func(t *testing.T) {
			dir := t.TempDir()
			path := func(name string) string { return filepath.Join(dir, name) }
			disktest.Run(t, qemu, "create", "-f", c.format, path("base"), "3M")
			disktest.Run(t, io, "-f", c.format, "-c", "write -P 1 0 1M", "-c", "write -P 2 2900k 100k", path("base"))
			// The one in the middle names its neighbour by a relative path.
			disktest.Run(t, qemu, "create", "-f", "qcow2", "-o", c.opts, "-b", "base", "-F", c.format, path("middle"), "6M")
			disktest.Run(t, io, "-c", "write -P 3 500k 200k", "-c", "write -z 800k 150k", "-c", "write -P 4 5M 1M", path("middle"))
			disktest.Run(t, qemu, "create", "-f", "qcow2", "-o", c.opts, "-b", path("middle"), "-F", "qcow2", path("top"))
			disktest.Run(t, io, "-c", "write -P 5 5100k 10k", "-c", "write -z 0 64k", path("top"))
			compare(t, path("top"), "qcow2")
		})
	}
}

func TestDataFile(t *testing.T) {
	qemu, io := disktest.Program(t, "qemu-img", "qemu-utils"), disktest.Program(t, "qemu-io", "qemu-utils")
	for _, raw := range []string{"on", "off"} {
		dir := t.TempDir()
		path := filepath.Join(dir, "qcow2")
		disktest.Run(t, qemu, "create", "-f", "qcow2", "-o", "data_file="+filepath.Join(dir, "data")+",data_file_raw="+raw, path, "8M")
		disktest.Run(t, io, "-c", "write -P 1 0 100k", "-c", "write -P 2 5M 1M", "-c", "write -z 5500k 100k", path)
		compare(t, path, "qcow2")
	}
}

// TestOutside refuses names that lead out of the folder of an image, whatever
// way they are written.
func TestOutside(t *testing.T) {
	qemu := disktest.Program(t, "qemu-img", "qemu-utils")
	dir := t.TempDir()
	inner := filepath.Join(dir, "inner")
	if err := os.Mkdir(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../secret", filepath.Join(inner, "link")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{secret, "../secret", "x/../../secret", "link", "/dev/zero", "nbd://localhost/x", "json:{\"driver\":\"null-co\"}", "."} {
		path := filepath.Join(inner, "image")
		disktest.Run(t, qemu, "create", "-u", "-f", "qcow2", "-b", name, "-F", "raw", path, "1M")
		_, _, _, err := image.Open(path)
		if err == nil || fault.KindOf(err) != fault.Input || len(fault.HintsOf(err)) == 0 || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v %q", name, err, fault.HintsOf(err))
		}
	}
}

// TestLoop refuses an image that builds on itself.
func TestLoop(t *testing.T) {
	qemu := disktest.Program(t, "qemu-img", "qemu-utils")
	path := filepath.Join(t.TempDir(), "image")
	disktest.Run(t, qemu, "create", "-u", "-f", "qcow2", "-b", "image", "-F", "qcow2", path, "1M")
	if _, _, _, err := image.Open(path); err == nil {
		t.Error("opened")
	}
}
