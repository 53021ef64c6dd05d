package xfs_test

import (
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
	"github.com/imgbuild/imgbuild/sanitize/xfs"
)

// refusedAs opens an image that must be refused.
func refusedAs(t *testing.T, image, why string) {
	t.Helper()
	r, err := disk.OpenFile(image)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := (xfs.Driver{}).Open(context.Background(), r); !errors.Is(err, sanitize.ErrRefused) {
		t.Errorf("%s: the error is %v", why, err)
	}
}

// TestLog scrubs a log again and again while the kernel writes it round and
// round, crashes on it, and recovers from what a scrub has left.
func TestLog(t *testing.T) {
	need(t)
	fstest.Need(t, "xfsprogs", "xfs_io")
	image := filepath.Join(t.TempDir(), "log.img")
	mkfs(t, image, 32, "-m rmapbt=0,reflink=0 -i sparse=0")
	rounds := 10
	if testing.Short() {
		rounds = 2
	}
	last := uint32(0)
	for range rounds {
		if !mounted(t, image, "nouuid", func(dir string) {
			shell(t, dir, `
				for k in 1 2 3; do
					for i in $(seq 400); do : > DEAD-name-that-fills-the-log-$i; done; sync
					rm DEAD*; sync
				done; echo LIVE > live`)
		}) {
			t.Skip("the kernel does not mount XFS")
		}
		report := fstest.Scrub(t, xfs.Driver{}, image)
		if report.Changed == 0 || fstest.Contains(t, image, []byte("DEAD")) {
			t.Errorf("deleted names are still there; %d bytes changed", report.Changed)
		}
		if again := fstest.Scrub(t, xfs.Driver{}, image); again.Changed != 0 {
			t.Errorf("a second scrub changed %d bytes", again.Changed)
		}
		check(t, image)
		last = max(last, cycle(t, image))

		mounted(t, image, "nouuid", func(dir string) {
			shell(t, dir, "echo recovered > file; xfs_io -x -c 'shutdown -f' .")
		})
		refusedAs(t, image, "a log with transactions to replay")
		mounted(t, image, "nouuid", func(dir string) { shell(t, dir, "[ $(cat live) = LIVE ]; rm file") })
	}
	if !testing.Short() && last < 2 {
		t.Errorf("the log never came to its end: its cycle is %d", last)
	}
}

// cycle returns the cycle number of the first sector of the log, as the kernel
// reads it.
func cycle(t *testing.T, image string) uint32 {
	t.Helper()
	p := &planter{t: t, image: image}
	r, err := disk.OpenFile(image)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b := make([]byte, 8)
	if err := sanitize.ReadFull(r, b, p.byteOf("fsblock", p.number("sb 0", "p logstart"))); err != nil {
		t.Fatal(err)
	}
	if n := binary.BigEndian.Uint32(b); n != 0xfeedbabe {
		return n
	}
	return binary.BigEndian.Uint32(b[4:])
}

// TestRefused makes what only xfs_repair, or another device, can answer for.
func TestRefused(t *testing.T) {
	need(t)
	image := filepath.Join(t.TempDir(), "refused.img")
	mkfs(t, image, 32, "")
	d, err := disk.OpenFileRW(image)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, c := range []struct {
		why string
		off int64
		to  []byte
	}{
		{"a filesystem that needs repair", 219, []byte{0x1b}},
		{"a real-time section", 24, []byte{0, 0, 0, 0, 0, 0, 0, 5}},
		{"an external log", 48, make([]byte, 8)},
		{"an interrupted mkfs", 126, []byte{1}},
		{"deleted files", 1024 + 40, []byte{0, 0, 0, 131}},
	} {
		old := make([]byte, len(c.to))
		if err := sanitize.ReadFull(d, old, c.off); err != nil {
			t.Fatal(err)
		}
		for _, b := range [][]byte{c.to, old} {
			if _, err := d.WriteAt(b, c.off); err != nil {
				t.Fatal(err)
			}
			if &b[0] == &c.to[0] {
				refusedAs(t, image, c.why)
			}
		}
	}
}
