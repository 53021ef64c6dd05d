package diff_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/inspect/diff"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

const mib = 1 << 20

// layout is a disk of two partitions, made by sgdisk, mkfs.fat and mke2fs.
type layout struct {
	boot      string // content of a file in the boot partition
	rootAt    int64  // MiB
	rootSize  int64  // MiB
	rootName  string
	tree      string
	active    bool
	more      bool   // a third partition
	bootCode  byte   // what fills the boot code
	strayByte string // put into the gap behind the table
}

// make writes the disk.
func (l layout) make(t *testing.T) string {
	t.Helper()
	fstest.Need(t, "gdisk", "sgdisk")
	fstest.Need(t, "dosfstools", "mkfs.fat")
	fstest.Need(t, "mtools", "mcopy")
	fstest.Need(t, "e2fsprogs", "mke2fs")
	t.Setenv("E2FSPROGS_FAKE_TIME", "1000000")
	dir := t.TempDir()
	path, esp, root := filepath.Join(dir, "disk"), filepath.Join(dir, "esp"), filepath.Join(dir, "root")
	fstest.Program(t, "truncate", "-s", "40M", path)
	args := []string{"-a", "1", "-U", "11111111-1111-1111-1111-111111111111",
		"-n", "1:2048:10239", "-t", "1:ef00", "-c", "1:boot", "-u", "1:22222222-2222-2222-2222-222222222222",
		"-n", fmt.Sprintf("2:%d:%d", l.rootAt*2048, (l.rootAt+l.rootSize)*2048-1), "-t", "2:8300", "-c", "2:" + l.rootName, "-u", "2:33333333-3333-3333-3333-333333333333"}
	if l.active {
		args = append(args, "-A", "1:set:2")
	}
	if l.more {
		args = append(args, "-n", "3:73728:75775", "-t", "3:8200", "-c", "3:swap", "-u", "3:44444444-4444-4444-4444-444444444444")
	}
	fstest.Program(t, "sgdisk", append(args, path)...)
	fstest.Program(t, "mkfs.fat", "-C", "-F12", "-i", "1234abcd", "--invariant", esp, "4096")
	fstest.Program(t, "mcopy", "-i", esp, writeFile(t, filepath.Join(dir, "kernel"), l.boot), "::/KERNEL")
	fstest.Program(t, "mke2fs", "-q", "-t", "ext4", "-U", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "-E", "hash_seed=6ba7b810-9dad-11d1-80b4-00c04fd430c8",
		"-d", l.tree, root, fmt.Sprintf("%dm", l.rootSize))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	put := func(p []byte, off int64) {
		if _, err := f.WriteAt(p, off); err != nil {
			t.Fatal(err)
		}
	}
	for file, off := range map[string]int64{esp: mib, root: l.rootAt * mib} {
		p, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		put(p, off)
	}
	put(bytes.Repeat([]byte{l.bootCode}, 440), 0)
	put([]byte(l.strayByte), 800<<10)
	return path
}

// facts are those of a volume, by name.
func facts(list []diff.Fact) map[string]string {
	m := map[string]string{}
	for _, f := range list {
		m[f.What] = f.A + " to " + f.B
	}
	return m
}

// TestPartitions moves, resizes, renames and adds partitions.
func TestPartitions(t *testing.T) {
	tree, _ := trees(t)
	base := layout{boot: "kernel", rootAt: 6, rootSize: 12, rootName: "root", tree: tree, bootCode: 1}
	moved := base
	moved.rootAt, moved.rootSize, moved.rootName, moved.active, moved.more = 10, 16, "system", true, true
	a, b := base.make(t), moved.make(t)
	r := compare(t, a, b, diff.Options{})
	volumes := r.Disks[0].Volumes
	if r.Same || len(volumes) != 3 {
		t.Fatalf("%+v", r.Disks)
	}
	if want := map[string]string{"active": "false to true"}; !cmp.Equal(facts(volumes[0].Facts), want) {
		t.Errorf("boot: %v", volumes[0].Facts)
	}
	want := map[string]string{
		"offset": fmt.Sprintf("%d to %d", 6*mib, 10*mib), "size": fmt.Sprintf("%d to %d", 12*mib, 16*mib), "name": "root to system",
	}
	if v := volumes[1]; !cmp.Equal(facts(v.Facts), want) || v.Files == nil || len(got(v.Files)) > 0 {
		t.Errorf("root: %v, %+v", v.Facts, v.Files)
	}
	if v := volumes[2]; v.Change != diff.Added || v.A != nil || v.B.Name != "swap" {
		t.Errorf("swap: %+v", v)
	}
	back := compare(t, b, a, diff.Options{Only: []diff.Section{diff.Partitions}}).Disks[0].Volumes
	if v := back[2]; v.Change != diff.Removed || v.A.Name != "swap" || back[1].Files != nil {
		t.Errorf("%+v", back)
	}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"partition 2 system (ext4, Linux, 16 MiB at 10 MiB)", "name    root → system", "partition 3 swap (", "active  false → true"} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("%q is not in\n%s", line, text.String())
		}
	}
}

// TestOwners says whose the bytes are that differ, counted by cmp.
func TestOwners(t *testing.T) {
	tree, other := trees(t)
	base := layout{boot: "kernel", rootAt: 6, rootSize: 12, rootName: "root", tree: tree, bootCode: 1}
	changed := base
	changed.boot, changed.bootCode, changed.strayByte = "KERNEL", 2, "stray"
	a, b := base.make(t), changed.make(t)
	r := compare(t, a, b, diff.Options{})
	sum := int64(0)
	owners := map[string]int64{}
	for _, o := range r.Disks[0].Bytes.Owners {
		owners[o.Class.String()+" "+o.Owner] += o.Bytes
		sum += o.Bytes
	}
	if differ := int64(strings.Count(found(t, "cmp", "diffutils", "-l", a, b), "\n")); sum != differ || r.Disks[0].Bytes.Differ != differ {
		t.Errorf("%d bytes differ, %d have an owner; cmp says %d", r.Disks[0].Bytes.Differ, sum, differ)
	}
	if owners["live /KERNEL"] != 6 {
		t.Errorf("%v", owners)
	}
	classes := map[sanitize.Class]int64{}
	for _, c := range r.Disks[0].Bytes.Classes {
		classes[c.B] += c.Bytes
	}
	if classes[sanitize.BootCode] != 440 || classes[sanitize.Gap] != 5 {
		t.Errorf("%v", classes)
	}
	// The root is equal, and not looked into.
	if i := slices.IndexFunc(r.Disks[0].Volumes, func(v diff.Volume) bool { return v.B.Index == 2 }); i >= 0 {
		t.Errorf("%+v", r.Disks[0].Volumes[i])
	}
	changed.tree = other
	r = compare(t, a, changed.make(t), diff.Options{Stat: true})
	for _, v := range r.Disks[0].Volumes {
		if v.Files.List != nil || v.Files.Changed == 0 {
			t.Errorf("%+v", v.Files)
		}
	}
}
