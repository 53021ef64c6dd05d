package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgbuild/imgbuild/kernel/init/config"
	"github.com/imgbuild/imgbuild/kernel/init/seed"
)

// secondSize is that of the second disks: larger than the seed, which therefore
// has to grow.
const secondSize = 256 << 20

// onSecond makes a root whose data are on a second disk.
func onSecond(t *testing.T) (root string, s *seed.Seed) {
	t.Helper()
	need(t, "mke2fs", "e2fsprogs")
	g := serving()
	g.Mounts = []config.Mount{{Source: "disk", Path: "/data", Type: "ext4", Grow: true, Seed: config.SeedPath}}
	dir := tree(t, g)
	image := blankDisk(t, seed.MaxSize)
	run(t, "", "mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-U", dataUUID, "-E", "lazy_itable_init=0,nodiscard,root_owner=1000:1000", image)
	made, err := os.Open(image)
	must(t, err)
	defer made.Close()
	var packed bytes.Buffer
	must(t, seed.Pack(&packed, made, seed.MaxSize))
	must(t, os.WriteFile(filepath.Join(dir, config.SeedPath), packed.Bytes(), 0o644))
	s, err = seed.Read(&packed)
	must(t, err)
	return erofs(t, dir), s
}

func blankDisk(t *testing.T, size int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "second")
	must(t, os.WriteFile(path, nil, 0o644))
	must(t, os.Truncate(path, size))
	return path
}

// attached are the options of a machine with more disks, which write slowly
// enough to be cut in the middle.
func attached(disks ...string) options {
	o := options{nic: true}
	for i, path := range disks {
		id := "more" + string(rune('0'+i))
		o.args = append(o.args, "-drive", "if=none,format=raw,throttling.iops-write=50,id="+id+",file="+path, "-device", "virtio-blk-pci,drive="+id)
	}
	return o
}

// awaitSecond waits until the disk has come so far.
func (m *machine) awaitSecond(path string, s *seed.Seed, want seed.Find) {
	m.t.Helper()
	disk, err := os.Open(path)
	must(m.t, err)
	defer disk.Close()
	for end := time.Now().Add(bootPatience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if found, err := seed.Look(disk, s.ID); err != nil || found >= want {
			must(m.t, err)
			return
		}
	}
	m.t.Fatalf("the second disk did not come to %d in %v", want, bootPatience)
}

// TestPowerCutsFirstBoot pulls the plug while init makes the data filesystem on
// a blank second disk, then while it is mounted for the first time and grows,
// then while the app writes. The next boot goes on each time, and at last the
// disk has become larger.
func TestPowerCutsFirstBoot(t *testing.T) {
	root, s := onSecond(t)
	need(t, "e2fsck", "e2fsprogs")
	rounds := 1
	if os.Getenv("IMGBUILD_TEST_SLOW") != "" {
		rounds = allCuts / 4
	}
	random := rand.New(rand.NewPCG(11, uint64(rounds)))
	moment := func() { time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond) }
	for range rounds {
		var acknowledged [writers]int
		disk := blankDisk(t, secondSize)
		for _, state := range []seed.Find{seed.Begun, seed.Made} {
			m := start(t, root, attached(disk))
			m.awaitSecond(disk, s, state)
			moment()
			must(t, m.cmd.Process.Kill())
			m.ended()
		}
		judgeSecond(t, disk, false)

		m := start(t, root, attached(disk))
		m.expect("app: listening")
		m.compare(&acknowledged)
		m.write(&acknowledged, 10+random.IntN(50))
		m.ended()
		judgeSecond(t, disk, false)

		must(t, os.Truncate(disk, secondSize+64<<20))
		m = start(t, root, attached(disk))
		m.expect("app: listening")
		m.compare(&acknowledged)
		if text := strings.Join(m.seen, "\n"); strings.Contains(text, "imgbuild: data made") {
			t.Errorf("the data were made once more:\n%s", text)
		}
		m.press()
		m.expect("imgbuild: poweroff")
		m.ended()
		judgeSecond(t, disk, true)
		need(t, "dumpe2fs", "e2fsprogs")
		if text := run(t, "", "dumpe2fs", "-h", disk); !strings.Contains(text, "Block count:              81920\n") {
			t.Errorf("the filesystem does not fill the disk:\n%s", text)
		}
		if t.Failed() {
			return
		}
	}
}

func judgeSecond(t *testing.T, path string, unmounted bool) {
	t.Helper()
	disk, err := os.Open(path)
	must(t, err)
	defer disk.Close()
	judge(t, disk, unmounted)
}

// TestBootSecondTaken has a disk with something on it, which must stay as it is,
// and none but the root's.
func TestBootSecondTaken(t *testing.T) {
	root, _ := onSecond(t)
	taken := blankDisk(t, secondSize)
	f, err := os.OpenFile(taken, os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt([]byte("somebody's"), secondSize/2)
	must(t, err)
	must(t, f.Close())
	before, err := os.ReadFile(taken)
	must(t, err)
	m := start(t, root, attached(taken))
	m.expect("imgbuild: failed mounting /data: no disk holds the data, and none is blank to make them on (left alone: vda, vdb): no such device after 10s")
	m.ended()
	after, err := os.ReadFile(taken)
	must(t, err)
	if !bytes.Equal(before, after) {
		t.Error("the disk was written to")
	}
}

// TestBootSecondOfTwo does not choose between blank disks.
func TestBootSecondOfTwo(t *testing.T) {
	root, _ := onSecond(t)
	m := start(t, root, attached(blankDisk(t, secondSize), blankDisk(t, secondSize)))
	m.expect("imgbuild: failed mounting /data: there is more than one blank disk")
	m.ended()
}
