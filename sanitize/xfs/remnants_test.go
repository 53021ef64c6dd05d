package xfs_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/sanitize/fstest"
	"github.com/imgbuild/imgbuild/sanitize/xfs"
)

// names are those of each form of directory: in the inode, in a block, in
// blocks with leaves and with nodes. Two of three in a row are deleted by
// deletions, so that unused entries merge, and so is a whole directory.
const (
	names = `
		mkdir short block leaf node gone
		: > short/LIVE-short; : > short/DEAD-short; : > gone/DEAD-gone
		fill() { for i in $(seq $2); do : > $1/DEAD-$1-$i; : > $1/DEAD-$1-again-$i; : > $1/LIVE-$1-$i; done; }
		fill block 20; fill leaf 150; fill node 400
	`
	deletions = `rm -r gone short/DEAD* block/DEAD* leaf/DEAD*; find node -name 'DEAD*' -delete`
)

// TestRemnants tells the names of deleted files, no live ones, and none after
// a scrub.
func TestRemnants(t *testing.T) {
	need(t)
	for _, args := range []string{"-b size=4096", "-b size=1024 -n size=8192"} {
		path := filepath.Join(t.TempDir(), "volume.img")
		mkfs(t, path, 64, args)
		if !mounted(t, path, "nouuid", func(dir string) { shell(t, dir, names) }) {
			t.Skip("the kernel does not mount XFS")
		}
		mounted(t, path, "nouuid", func(dir string) { shell(t, dir, deletions) })
		count := map[string]int{}
		for name, where := range fstest.Remnants(t, xfs.Driver{}, path) {
			if name == "gone" && where == "directory /" {
				count[name]++
				continue
			}
			kind := strings.Split(name, "-")
			if len(kind) < 2 || kind[0] != "DEAD" {
				t.Errorf("mkfs.xfs %s: %q is told of %s", args, name, where)
				continue
			}
			if want := "directory /" + kind[1]; where != want && kind[1] != "gone" {
				t.Errorf("mkfs.xfs %s: %s is in %s", args, name, where)
			}
			count[kind[1]]++
		}
		for kind, want := range map[string]int{"short": 1, "block": 40, "leaf": 300, "node": 800, "gone": 2} {
			if count[kind] != want {
				t.Errorf("mkfs.xfs %s: %d names of %d in %s", args, count[kind], want, kind)
			}
		}
		fstest.Scrub(t, xfs.Driver{}, path)
		if names := fstest.Remnants(t, xfs.Driver{}, path); len(names) > 0 {
			t.Errorf("mkfs.xfs %s: after a scrub: %v", args, names)
		}
		check(t, path)
	}
}
