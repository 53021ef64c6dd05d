package lvm_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/ext"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
	"github.com/imgbuild/imgbuild/sanitize/lvm"
	"github.com/imgbuild/imgbuild/sanitize/swap"
)

const mib = 1 << 20

var driver = lvm.Driver{Volumes: []sanitize.Driver{ext.Driver{}, swap.Driver{}}}

// group makes a volume group on the image: root in two segments, around where
// a volume was removed, and data. The kernel's device mapper is not asked.
func group(t *testing.T, path string) {
	t.Helper()
	fstest.Need(t, "lvm2", "pvcreate", "vgcreate", "lvcreate")
	if os.Getuid() != 0 {
		t.Skip("only root may attach loop devices")
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 256*mib); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "-f", "--show", path).Output()
	if err != nil {
		t.Skipf("attaching a loop device: %v", err)
	}
	dev := strings.TrimSpace(string(out))
	defer func() { fstest.Program(t, "losetup", "-d", dev) }()
	for _, line := range []string{
		"pvcreate " + dev, "vgcreate vg0 " + dev,
		"lvcreate -an -Zn -Wn -L 64M -n root vg0", "lvcreate -an -Zn -Wn -L 40M -n removed-volume vg0",
		"lvcreate -an -Zn -Wn -L 32M -n data vg0", "lvremove -f vg0/removed-volume", "lvextend -L +48M vg0/root",
		"lvcreate -an -Zn -Wn -L 16M -n raw vg0",
	} {
		words := strings.Fields(line)
		args := []string{"--driverloaded", "n", "--config", `devices{filter=["a|` + dev + `|","r|.*|"]} backup{backup=0 archive=0}`}
		fstest.Program(t, words[0], append(args, words[1:]...)...)
	}
}

// The places of the volumes, in MiB: data begins at 1, an extent has 4.
var rootRuns = [][2]int64{{1, 26 * 4}, {1 + 34*4, 2 * 4}}

// spread copies between an image of a volume and its runs.
func spread(t *testing.T, disk, image string, runs [][2]int64, in bool) {
	t.Helper()
	at := int64(0)
	for _, r := range runs {
		from, skip, to, seek := image, at, disk, r[0]
		if !in {
			from, skip, to, seek = disk, r[0], image, at
		}
		fstest.Program(t, "dd", "if="+from, "of="+to, "bs=1M", "conv=notrunc", "status=none",
			"skip="+itoa(skip), "seek="+itoa(seek), "count="+itoa(r[1]))
		at += r[1]
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// TestVolumes scrubs a physical volume with an ext4 across two segments.
func TestVolumes(t *testing.T) {
	fstest.Need(t, "e2fsprogs", "mke2fs", "debugfs", "e2fsck")
	dir := t.TempDir()
	path, root := filepath.Join(dir, "disk"), filepath.Join(dir, "root")
	group(t, path)
	live, dead := filepath.Join(dir, "live"), filepath.Join(dir, "dead")
	for name, text := range map[string]string{live: "LIVE-CONTENT", dead: "DELETED-CONTENT"} {
		if err := os.WriteFile(name, []byte(strings.Repeat(text+" ", 2000)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fstest.Program(t, "mke2fs", "-q", "-t", "ext4", root, "112m")
	for _, request := range []string{"write " + live + " live", "write " + dead + " deleted-name", "rm deleted-name"} {
		fstest.Program(t, "debugfs", "-w", "-R", request, root)
	}
	spread(t, path, root, rootRuns, true)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, off := range []int64{2000, mib + 50*4*mib, 255 * mib} {
		if _, err := f.WriteAt([]byte("DEAD-MARKER"), off); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.WriteAt([]byte("FOREIGN"), mib+30*4*mib); err != nil {
		t.Fatal(err)
	}
	if !fstest.Contains(t, path, []byte("removed-volume")) {
		t.Fatal("the ring does not hold the removed volume")
	}
	before := fstest.Tree(t, driver, path)
	report := fstest.Scrub(t, driver, path)
	for _, gone := range []string{"removed-volume", "DELETED-CONTENT", "deleted-name", "DEAD-MARKER"} {
		if fstest.Contains(t, path, []byte(gone)) {
			t.Errorf("%s is still there", gone)
		}
	}
	for _, kept := range []string{"LIVE-CONTENT", "FOREIGN", "creation_host"} {
		if !fstest.Contains(t, path, []byte(kept)) {
			t.Errorf("%s is gone", kept)
		}
	}
	if len(report.Unknown) == 0 || !strings.Contains(report.Unknown[0].Owner, "data, not recognised") {
		t.Errorf("unknown is %+v", report.Unknown)
	}
	if diff := cmp.Diff(before, fstest.Tree(t, driver, path)); diff != "" {
		t.Errorf("scrub changed the live tree (-before +after):\n%s", diff)
	}
	spread(t, path, root, rootRuns, false)
	fstest.Program(t, "e2fsck", "-fn", root)
	if again := fstest.Scrub(t, driver, path); again.Changed != 0 {
		t.Errorf("a second scrub changed %d bytes", again.Changed)
	}
	if out := fstest.Program(t, "pvck", "--driverloaded", "n", "--dump", "headers", path); strings.Contains(out, "ERROR") {
		t.Errorf("pvck: %s", out)
	}
}
