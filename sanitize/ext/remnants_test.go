package ext_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/ext"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// TestRemnants tells the names of deleted files in directories, and those in a
// copy of a directory that the journal keeps.
func TestRemnants(t *testing.T) {
	fstest.Need(t, "e2fsprogs", "mke2fs", "debugfs")
	for _, block := range []string{"1024", "4096"} {
		dir := t.TempDir()
		path, tree := filepath.Join(dir, "image"), filepath.Join(dir, "tree", "sub")
		if err := os.MkdirAll(tree, 0o755); err != nil {
			t.Fatal(err)
		}
		var script strings.Builder
		for i := range 30 {
			name := fmt.Sprintf("file-%02d", i)
			if err := os.WriteFile(filepath.Join(tree, name), []byte(name), 0o644); err != nil {
				t.Fatal(err)
			}
			if i%3 > 0 {
				fmt.Fprintf(&script, "rm /sub/%s\n", name)
			}
		}
		commands := filepath.Join(dir, "commands")
		if err := os.WriteFile(commands, []byte(script.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		fstest.Program(t, "mke2fs", "-q", "-t", "ext4", "-b", block, "-d", filepath.Join(dir, "tree"), path, "16m")
		fstest.Program(t, "debugfs", "-w", "-f", commands, path)
		journalCopy(t, path)
		names := fstest.Remnants(t, ext.Driver{}, path)
		for i := range 30 {
			name := fmt.Sprintf("file-%02d", i)
			if where := names[name]; (i%3 > 0) != (where != "") {
				t.Errorf("blocks of %s: %s is in %q", block, name, where)
			}
		}
		if names["only-journal"] != "journal" {
			t.Errorf("blocks of %s: the name in the journal is in %q", block, names["only-journal"])
		}
		fstest.Scrub(t, ext.Driver{}, path)
		if names := fstest.Remnants(t, ext.Driver{}, path); len(names) > 0 {
			t.Errorf("blocks of %s: after a scrub: %v", block, names)
		}
	}
}

// journalCopy puts the root directory, with one more name, into the middle of
// the journal, as a commit does.
func journalCopy(t *testing.T, path string) {
	t.Helper()
	source := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(source, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	fstest.Program(t, "debugfs", "-w", "-R", "write "+source+" only-journal", path)
	d, err := disk.OpenFileRW(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	l := fstest.Read(t, ext.Driver{}, path)
	var root, journal disk.Extent
	for _, g := range l.Regions {
		if g.Owner == "directory /" && g.Class == sanitize.Metadata && root.Len == 0 {
			root = g.Extent
		}
		if g.Class == sanitize.Stale && strings.Contains(g.Owner, "journal") && g.Len > journal.Len {
			journal = g.Extent
		}
	}
	block := blockSize(t, path)
	b := make([]byte, block)
	if _, err := d.ReadAt(b, root.Off/block*block); err != nil {
		t.Fatal(err)
	}
	if _, err := d.WriteAt(b, (journal.Off+journal.Len/2)/block*block); err != nil {
		t.Fatal(err)
	}
	fstest.Program(t, "debugfs", "-w", "-R", "rm only-journal", path)
	// Nothing but the journal has the name now.
	if _, err := d.WriteAt(make([]byte, 12), root.Off/block*block+int64(strings.Index(string(b), "only-journal"))); err != nil {
		t.Fatal(err)
	}
}

func blockSize(t *testing.T, path string) int64 {
	t.Helper()
	var n int64
	for line := range strings.Lines(fstest.Program(t, "debugfs", "-R", "stats -h", path)) {
		fmt.Sscanf(line, "Block size: %d", &n)
	}
	return n
}
