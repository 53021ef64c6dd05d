package btrfs_test

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/btrfs"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// planter writes markers into an image, where its owner would leave residue.
type planter struct {
	t    *testing.T
	d    *disk.File
	dead []string
}

// put writes a marker at a byte of the image.
func (p *planter) put(class string, off int64) {
	p.t.Helper()
	m := "DEAD-" + class + "-x"
	p.dead = append(p.dead, m)
	if _, err := p.d.WriteAt([]byte(m), off); err != nil {
		p.t.Fatal(err)
	}
}

// seal renews the crc32c of a block of n bytes.
func (p *planter) seal(off, n int64) {
	p.t.Helper()
	b := make([]byte, n)
	if err := sanitize.ReadFull(p.d, b, off); err != nil {
		p.t.Fatal(err)
	}
	sum := binary.LittleEndian.AppendUint32(nil, crc32.Checksum(b[32:], crc32.MakeTable(crc32.Castagnoli)))
	if _, err := p.d.WriteAt(sum, off); err != nil {
		p.t.Fatal(err)
	}
}

// places asks btrfs-map-logical where a logical address lies.
func places(t *testing.T, image, logical string) []int64 {
	t.Helper()
	out := fstest.Program(t, "btrfs-map-logical", "-l", logical, image)
	var at []int64
	for _, m := range regexp.MustCompile(`physical (\d+)`).FindAllStringSubmatch(out, -1) {
		n, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, n)
	}
	if len(at) == 0 {
		t.Fatalf("btrfs-map-logical: %s", out)
	}
	return at
}

// residue leaves, through the kernel, what deletions and commits leave.
const residue = `
	mkdir names attrs
	for i in $(seq 300); do : > names/DEAD-name-$i; : > names/LIVE-name-$i; done; sync; rm names/DEAD*
	for i in $(seq 5); do echo DEAD-inline-$i > inline-$i; done; echo LIVE-inline > inline; sync; rm inline-*
	for i in $(seq 2000); do echo DEAD-file-$i >> gone; done; for i in $(seq 2000); do echo LIVE-file-$i >> stays; done; sync; rm gone
	for i in $(seq 9000); do echo DEAD-overwritten-$i >> part; done; sync
	(for i in $(seq 9000); do echo LIVE-overwrite-$i; done) | head -c 40960 | dd of=part bs=4096 seek=3 conv=notrunc status=none
	truncate -s 100000 part
	dd if=/dev/zero of=part bs=4096 count=3 conv=notrunc status=none; dd if=/dev/zero of=part bs=4096 seek=13 count=11 conv=notrunc status=none
	truncate -s 57344 part
	echo DEAD-in-a-snapshot > snapped; btrfs subvolume create sub >/dev/null; echo DEAD-in-a-subvolume > sub/file; echo LIVE-in-a-subvolume > live
	btrfs subvolume snapshot sub snap >/dev/null; sync; rm snapped sub/file snap/file
	ln -s DEAD-target t1; ln -s LIVE-target t2; touch attrs/f
	setfattr -n user.dead -v DEAD-attr attrs/f; setfattr -n user.live -v LIVE-attr attrs/f; sync; setfattr -x user.dead attrs/f; rm t1
	btrfs subvolume create dropped >/dev/null; echo DEAD-dropped > dropped/f; sync; btrfs subvolume delete -c dropped >/dev/null; btrfs subvolume sync . >/dev/null
	fallocate -l 256k unwritten; echo LIVE-unwritten | dd of=unwritten conv=notrunc status=none
	mv live LIVE-subvolume
`

// TestMarkers leaves residue in each class and looks for it after a scrub.
func TestMarkers(t *testing.T) {
	need(t)
	image := filepath.Join(t.TempDir(), "marked.img")
	mkfs(t, image, 128, "-L LIVE-label")
	if !mounted(t, image, "nodiscard", func(dir string) { shell(t, dir, residue) }) {
		t.Skip("the kernel does not mount btrfs")
	}
	for _, m := range []string{"DEAD-name", "DEAD-inline", "DEAD-file", "DEAD-overwritten", "DEAD-in-a-snapshot", "DEAD-in-a-subvolume", "DEAD-target", "DEAD-attr", "DEAD-dropped"} {
		if !fstest.Contains(t, image, []byte(m)) {
			t.Errorf("the kernel left no %s", m)
		}
	}
	if err := os.Truncate(image, 130<<20); err != nil {
		t.Fatal(err)
	}
	p := plant(t, image)
	check(t, image)
	fstest.Scrub(t, btrfs.Driver{}, image)
	for _, m := range append(p.dead, "DEAD") {
		if fstest.Contains(t, image, []byte(m)) {
			t.Errorf("%s is still there", m)
		}
	}
	for _, m := range []string{"label", "name-300", "inline", "file-2000", "overwrite", "in-a-subvolume", "target", "attr", "unwritten", "subvolume"} {
		if !fstest.Contains(t, image, []byte("LIVE-"+m)) {
			t.Errorf("LIVE-%s is gone", m)
		}
	}
	check(t, image)
	if again := fstest.Scrub(t, btrfs.Driver{}, image); again.Changed != 0 {
		t.Errorf("a second scrub changed %d bytes", again.Changed)
	}
	mounted(t, image, "noatime", func(dir string) { shell(t, dir, "btrfs scrub start -B . | grep 'no errors'; cat inline; rm -r names") })
	check(t, image)
}

// plant writes markers where no system call leads.
func plant(t *testing.T, image string) *planter {
	t.Helper()
	tree := fstest.Program(t, "btrfs", "inspect-internal", "dump-tree", image)
	first := func(pattern string) string {
		m := regexp.MustCompile(pattern).FindStringSubmatch(tree)
		if m == nil {
			t.Fatalf("there is no %s", pattern)
		}
		return m[1]
	}
	d, err := disk.OpenFileRW(image)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	p := &planter{t: t, d: d}
	p.put("boot-area", 10000)
	p.put("behind-the-superblock", 80<<10)
	p.put("before-the-chunks", 900<<10)
	p.put("behind-the-filesystem", 129<<20)
	p.put("unallocated", 128<<20-5000)
	for _, off := range []int64{64 << 10, 64 << 20} {
		p.put("label-tail", off+0x12b+100)
		p.put("system-chunks", off+0x32b+1500)
		p.put("superblock-tail", off+4000)
		p.seal(off, 4096)
	}
	for _, owner := range []string{"ROOT_TREE", "FS_TREE", "CSUM_TREE", "CHUNK_TREE"} {
		for _, at := range places(t, image, first(`leaf (\d+) items \d+ free space \d+ generation \d+ owner `+owner)) {
			b := make([]byte, 4)
			if err := sanitize.ReadFull(d, b, at+96); err != nil {
				t.Fatal(err)
			}
			p.put("leaf-"+owner, at+101+25*int64(binary.LittleEndian.Uint32(b))+50)
			p.seal(at, 16384)
		}
	}
	p.put("unwritten-extent", places(t, image, first(`prealloc data disk byte (\d+)`))[0]+100<<10)
	return p
}

// TestRefused makes what the kernel has to finish.
func TestRefused(t *testing.T) {
	need(t)
	image := filepath.Join(t.TempDir(), "refused.img")
	mkfs(t, image, 128, "")
	d, err := disk.OpenFileRW(image)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, c := range []struct {
		why string
		off int64
	}{{"a log tree", 0x60}, {"an error", 0x38}, {"several devices", 0x88}} {
		for _, flip := range []byte{6, 6} {
			b := make([]byte, 1)
			if err := sanitize.ReadFull(d, b, 64<<10+c.off); err != nil {
				t.Fatal(err)
			}
			b[0] ^= flip
			if _, err := d.WriteAt(b, 64<<10+c.off); err != nil {
				t.Fatal(err)
			}
			_, err := (btrfs.Driver{}).Open(context.Background(), d)
			if damaged := b[0]&6 != 0; damaged != errors.Is(err, sanitize.ErrRefused) {
				t.Errorf("%s (%v): the error is %v", c.why, damaged, err)
			}
		}
	}
	crashed := image + ".crashed"
	if !mounted(t, image, "noatime", func(dir string) {
		shell(t, dir, "exec 3> f; echo deleted >&3; rm f; sync; cp --sparse=always "+image+" "+crashed)
	}) {
		return
	}
	o, err := disk.OpenFile(crashed)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	_, err = sanitize.Read(context.Background(), o, []sanitize.Driver{btrfs.Driver{}}, sanitize.ReadOptions{})
	if !errors.Is(err, sanitize.ErrRefused) {
		t.Errorf("a deleted file that waits to be freed: the error is %v", err)
	}
}
