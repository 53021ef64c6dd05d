package exfat_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize/exfat"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// variants cover the geometries that mkfs.exfat makes.
var variants = []struct {
	name string
	mib  int
	args string
}{
	{"clusters of 4096", 16, ""},
	{"clusters of 512", 8, "-c 512"},
	{"clusters of 1024 in a packed volume", 8, "-c 1024 --pack-bitmap"},
	{"clusters of 32768", 24, "-c 32768 -b 64K"},
	{"clusters of 131072", 40, "-c 131072"},
}

func need(t *testing.T) {
	t.Helper()
	fstest.Need(t, "exfatprogs", "mkfs.exfat", "fsck.exfat")
	fstest.Need(t, "exfat-fuse", "mount.exfat-fuse")
	if os.Geteuid() != 0 {
		t.Skip("mounting with exfat-fuse needs root")
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skip("mounting with exfat-fuse needs /dev/fuse")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// makeVolume writes an empty volume.
func makeVolume(t *testing.T, path string, mib int, args string) {
	t.Helper()
	d, err := disk.CreateFile(path, int64(mib)<<20)
	must(t, err)
	must(t, d.Close())
	fstest.Program(t, "mkfs.exfat", append(append([]string{"-L", "a label"}, strings.Fields(args)...), path)...)
}

// mounted calls do with the folder where exfat-fuse shows the volume, and
// unmounts it. It takes block devices only.
func mounted(t *testing.T, image, options string, do func(dir string)) {
	t.Helper()
	out, err := exec.Command("losetup", "--show", "-f", image).Output()
	if err != nil {
		t.Skipf("mounting with exfat-fuse needs a loop device: %v", err)
	}
	device, dir := strings.TrimSpace(string(out)), t.TempDir()
	defer fstest.Program(t, "losetup", "-d", device)
	fstest.Program(t, "mount.exfat-fuse", "-o", "noatime"+options, device, dir)
	defer fstest.Program(t, "umount", dir)
	do(dir)
}

func check(t *testing.T, path string) {
	t.Helper()
	if out := fstest.Program(t, "fsck.exfat", "-n", path); !strings.Contains(out, "clean") {
		t.Errorf("fsck.exfat: %s", out)
	}
}

func live(t *testing.T, path string) (tree map[string]string) {
	mounted(t, path, ",ro", func(dir string) { tree = fstest.Files(t, dir) })
	return tree
}

func text(mark string, n int) []byte {
	return []byte(strings.Repeat(mark+" ", n/(len(mark)+1)+1)[:n])
}

// fill writes a tree and deletes a part of it. What is deleted holds the word
// SECRET, what stays holds LIVE.
func fill(t *testing.T, image string) {
	t.Helper()
	mounted(t, image, "", func(dir string) {
		write := func(name string, b []byte) {
			p := filepath.Join(dir, name)
			must(t, os.MkdirAll(filepath.Dir(p), 0o755))
			must(t, os.WriteFile(p, b, 0o644))
		}
		remove := func(name string) { must(t, os.Remove(filepath.Join(dir, name))) }
		for i := range 60 {
			write(fmt.Sprintf("large directory/SECRET with a name of two entries %03d", i), text("SECRET", i*97%3000))
		}
		for i := range 20 {
			write(fmt.Sprintf("large directory/LIVE %d", i), text("LIVE", i*197))
		}
		for i := range 60 {
			remove(fmt.Sprintf("large directory/SECRET with a name of two entries %03d", i))
		}
		for i := range 5 {
			write(fmt.Sprintf("large directory/LIVE long name that takes the place of another %d", i), text("LIVE", 100))
		}
		write("gone/SECRET", text("SECRET", 100))
		must(t, os.RemoveAll(filepath.Join(dir, "gone")))
		write("tail", text("SECRET", 70_000))
		write("tail", text("LIVE", 30_001))
		write("cut", append(text("LIVE", 5000), text("SECRET", 60_000)...))
		must(t, os.Truncate(filepath.Join(dir, "cut"), 5000))
		// Two files that grow in turn, so that both are in chains.
		a, err := os.Create(filepath.Join(dir, "fragments"))
		must(t, err)
		b, err := os.Create(filepath.Join(dir, "other"))
		must(t, err)
		for range 12 {
			_, err = a.Write(text("LIVE", 40_000))
			must(t, err)
			must(t, a.Sync())
			_, err = b.Write(text("SECRET", 40_000))
			must(t, err)
			must(t, b.Sync())
		}
		must(t, a.Close())
		must(t, b.Close())
		remove("other")
		write("日本語 ünïcode", text("LIVE", 20))
		write("empty", nil)
		must(t, os.Rename(filepath.Join(dir, "tail"), filepath.Join(dir, "renamed from a longer SECRET name")))
		must(t, os.Rename(filepath.Join(dir, "renamed from a longer SECRET name"), filepath.Join(dir, "tail")))
	})
}

func TestContract(t *testing.T) {
	need(t)
	for i, v := range variants {
		if testing.Short() && i > 1 {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			fstest.Suite{
				Driver: exfat.Driver{},
				Make: func(t *testing.T, path string) {
					makeVolume(t, path, v.mib, v.args)
					fill(t, path)
				},
				Check: check,
				Live:  live,
			}.Run(t)
		})
	}
}

// traces counts the places of marker in the image, in both forms of text.
func traces(t *testing.T, path, marker string) int {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	var wide []byte
	for _, c := range []byte(marker) {
		wide = append(wide, c, 0)
	}
	return bytes.Count(b, []byte(marker)) + bytes.Count(b, wide)
}

// TestMarkers looks for what was deleted, in the raw bytes.
func TestMarkers(t *testing.T) {
	need(t)
	for _, v := range variants {
		path := filepath.Join(t.TempDir(), "volume.img")
		makeVolume(t, path, v.mib, v.args)
		fill(t, path)
		if n := traces(t, path, "SECRET"); n < 1000 {
			t.Fatalf("the volume holds only %d traces of what was deleted", n)
		}
		fstest.Scrub(t, exfat.Driver{}, path)
		if n := traces(t, path, "SECRET"); n > 0 {
			t.Errorf("%s: %d traces are left", v.name, n)
		}
		if traces(t, path, "LIVE") < 1000 {
			t.Errorf("%s: what lives is gone", v.name)
		}
	}
}
