package ext_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/ext"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// journals are the forms that a journal has.
var journals = []struct{ name, mkfs, open string }{
	{"v1 tags", "-t ext3 -b 1024", "jo"},
	{"v1 tags 4k", "-t ext4 -O ^64bit,^metadata_csum -b 4096", "jo"},
	{"64bit", "-t ext4 -O 64bit,^metadata_csum -b 4096", "jo"},
	{"v2 checksums", "-t ext4 -b 1024", "jo -c -v 2"},
	{"v3 checksums", "-t ext4 -b 4096", "jo -c -v 3"},
	{"v3 checksums 1k", "-t ext4 -b 1024 -O ^64bit", "jo -c -v 3"},
}

// pend leaves transactions in the journal of an image: blocks that are written
// twice, one that is revoked, and one that begins with the journal's magic.
func pend(t *testing.T, image, open string) {
	t.Helper()
	dir := t.TempDir()
	file := func(name string, b string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	fill := func(s string) string { return strings.Repeat(s, 4096/len(s)) }
	one, two := file("one", fill("first---")+fill("second--")), file("two", fill("latest--"))
	magic := file("magic", "\xc0\x3b\x39\x98"+fill("escaped-")[4:])
	debugfs(t, image, open,
		"jw -b 3000,3001 "+one, "jw -b 3001 "+two, "jw -b 3005 "+magic, "jw -b 3006 "+one, "jw -r 3006", "jc")
}

// TestReplay compares a replay with that of e2fsck.
func TestReplay(t *testing.T) {
	need(t)
	for _, j := range journals {
		t.Run(j.name, func(t *testing.T) {
			dir := t.TempDir()
			path, theirs, ours := filepath.Join(dir, "image"), filepath.Join(dir, "theirs"), filepath.Join(dir, "ours")
			fstest.Program(t, "mke2fs", append(append([]string{"-q", "-F"}, strings.Fields(j.mkfs)...), path, "32m")...)
			pend(t, path, j.open)
			fstest.Copy(t, path, theirs)
			fstest.Copy(t, path, ours)
			if err := exec.Command("e2fsck", "-y", "-E", "journal_only", theirs).Run(); err != nil {
				t.Logf("e2fsck: %v", err) // 1: it changed something
			}
			compareReplay(t, path, ours, theirs)
		})
	}
}

// compareReplay replays in memory and in place, and holds both to what e2fsck
// made of the image, but for its notes in the superblocks.
func compareReplay(t *testing.T, path, ours, theirs string) {
	t.Helper()
	ctx := context.Background()
	src, err := disk.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	p, err := (ext.Driver{}).Replay(ctx, src)
	if err != nil || p == nil {
		t.Fatalf("nothing is replayed: %v", err)
	}
	w, err := disk.OpenFileRW(ours)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := p.Apply(ctx, w); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(theirs)
	if err != nil {
		t.Fatal(err)
	}
	place, err := os.ReadFile(ours)
	if err != nil {
		t.Fatal(err)
	}
	memory := make([]byte, len(want))
	if err := sanitize.ReadFull(p, memory, 0); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]byte{"in memory": memory, "in place": place} {
		var differ []int
		for at := 0; at < len(want); at += 1024 {
			if at != 1024 && string(want[at:at+1024]) != string(got[at:at+1024]) {
				differ = append(differ, at)
			}
		}
		if len(differ) > 1 { // the journal's superblock tells how far it got
			t.Errorf("%s, %d kibibytes differ from what e2fsck replays: %v", name, len(differ), differ[:min(len(differ), 9)])
		}
	}
	if again, err := (ext.Driver{}).Replay(ctx, w); again != nil || err != nil {
		t.Errorf("there is still something to replay: %v", err)
	}
}

// TestReplayOfKernel takes the image of a filesystem in use, as a snapshot
// does, and scrubs it after its replay.
func TestReplayOfKernel(t *testing.T) {
	need(t)
	if os.Getuid() != 0 {
		t.Skip("only root may mount")
	}
	for _, features := range []string{"^orphan_file", "orphan_file"} {
		dir := t.TempDir()
		path, snapshot, mnt := filepath.Join(dir, "image"), filepath.Join(dir, "snapshot"), filepath.Join(dir, "mnt")
		fstest.Program(t, "mke2fs", "-q", "-t", "ext4", "-O", features, path, "64m")
		if err := os.Mkdir(mnt, 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("mount", "-o", "loop", path, mnt).CombinedOutput(); err != nil {
			t.Skipf("mounting: %v: %s", err, out)
		}
		for i := range 300 {
			name := filepath.Join(mnt, fmt.Sprintf("file-%03d", i))
			if err := os.WriteFile(name, []byte(strings.Repeat(name, i)), 0o644); err != nil {
				t.Error(err)
			}
			if i%3 == 0 {
				os.Remove(name)
			}
		}
		fstest.Program(t, "sync", "-f", mnt)
		fstest.Program(t, "cp", "--sparse=always", path, snapshot)
		fstest.Program(t, "umount", mnt)
		src, err := disk.OpenFileRW(snapshot)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		ctx, opts := context.Background(), sanitize.Options{Drivers: []sanitize.Driver{ext.Driver{}}}
		p, err := sanitize.Replay(ctx, src, opts.Drivers)
		if err != nil || p == nil {
			t.Fatalf("nothing is replayed: %v", err)
		}
		if err := p.Apply(ctx, src); err != nil {
			t.Fatal(err)
		}
		check(t, snapshot)
		fstest.Scrub(t, ext.Driver{}, snapshot)
		check(t, snapshot)
		if got := extract(t, snapshot); len(got) != 202 {
			t.Errorf("%d files and directories are there", len(got))
		}
		if fstest.Contains(t, snapshot, []byte("file-003")) || !fstest.Contains(t, snapshot, []byte("file-004")) {
			t.Error("a deleted name is there, or a live one is not")
		}
	}
}
