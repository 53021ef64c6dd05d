package btrfs_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/btrfs"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// TestRest plants markers behind the end of two files, and renews the checksum
// of one: the other is damaged, and stays so. A cut between the last changes,
// which are those of checksums and rests, leaves what another scrub finishes.
func TestRest(t *testing.T) {
	need(t)
	dir := t.TempDir()
	image, whole, cut := filepath.Join(dir, "image"), filepath.Join(dir, "whole"), filepath.Join(dir, "cut")
	mkfs(t, image, 128, "-m single")
	script := `yes LIVE | head -c 5000 > sound; sync; yes LIVE | head -c 5000 > damaged`
	if !mounted(t, image, "max_inline=0,nodiscard", func(dir string) { shell(t, dir, script) }) {
		t.Skip("the kernel does not mount btrfs")
	}
	plantRests(t, image)
	fstest.Copy(t, image, whole)
	r := &fstest.Recorder{Writer: openRW(t, whole)}
	if _, err := sanitize.Scrub(context.Background(), r, sanitize.Options{Drivers: []sanitize.Driver{btrfs.Driver{}}}); err != nil {
		t.Fatal(err)
	}
	for n := max(len(r.Changes)-4, 0); n < len(r.Changes); n++ {
		fstest.Copy(t, image, cut)
		w := openRW(t, cut)
		for _, c := range r.Changes[:n] {
			c.Apply(t, w)
		}
		fstest.Program(t, "btrfs", "check", cut)
		fstest.Scrub(t, btrfs.Driver{}, cut)
		fstest.SameBytes(t, whole, cut)
	}
	if fstest.Contains(t, whole, []byte("DEAD-sound")) {
		t.Error("the rest of a sector is still there")
	}
	if !fstest.Contains(t, whole, []byte("DEAD-damaged")) {
		t.Error("a sector whose checksum does not hold was changed")
	}
	mounted(t, whole, "ro", func(dir string) {
		shell(t, dir, `[ "$(md5sum < sound)" = "$(yes LIVE | head -c 5000 | md5sum)" ]; ! cat damaged > /dev/null 2>&1`)
	})
}

func openRW(t *testing.T, path string) *disk.File {
	t.Helper()
	w, err := disk.OpenFileRW(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// plantRests writes behind the ends of both files. The checksum of one sector is
// looked for in the one leaf of the checksum tree and renewed.
func plantRests(t *testing.T, image string) {
	t.Helper()
	tree := fstest.Program(t, "btrfs", "inspect-internal", "dump-tree", image)
	extents := regexp.MustCompile(`extent data disk byte (\d+) nr 8192\n`).FindAllStringSubmatch(tree, -1)
	leaf := regexp.MustCompile(`leaf (\d+) items \d+ free space \d+ generation \d+ owner CSUM_TREE`).FindStringSubmatch(tree)
	if len(extents) != 2 || leaf == nil {
		t.Fatalf("%d files and a checksum tree %v", len(extents), leaf)
	}
	p := &planter{t: t, d: openRW(t, image)}
	for i, class := range []string{"sound", "damaged"} {
		// The first chunk of data lies where its addresses say.
		logical, err := strconv.ParseInt(extents[i][1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sector := logical + 4096
		before := sumAt(t, p.d, sector)
		p.put(class, sector+3000)
		if class == "damaged" {
			if _, err := p.d.WriteAt([]byte("D"), sector+10); err != nil {
				t.Fatal(err)
			}
			continue
		}
		at := places(t, image, leaf[1])[0]
		block := make([]byte, 16384)
		if err := sanitize.ReadFull(p.d, block, at); err != nil {
			t.Fatal(err)
		}
		place := bytes.Index(block, before)
		if place < 0 {
			t.Fatal("the checksum is not in its leaf")
		}
		if _, err := p.d.WriteAt(sumAt(t, p.d, sector), at+int64(place)); err != nil {
			t.Fatal(err)
		}
		p.seal(at, 16384)
	}
}

// sumAt returns the checksum of the sector at off.
func sumAt(t *testing.T, d *disk.File, off int64) []byte {
	t.Helper()
	b := make([]byte, 4096)
	if err := sanitize.ReadFull(d, b, off); err != nil {
		t.Fatal(err)
	}
	return binary.LittleEndian.AppendUint32(nil, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}
