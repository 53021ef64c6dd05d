package ext_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/sanitize/ext"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// variants cover every form of the layout that mke2fs writes.
var variants = []struct {
	name string
	kib  int
	args string
}{
	{"ext2 1k", 8000, "-t ext2 -b 1024"},
	{"ext2 revision 0", 4096, "-t ext2 -r 0 -O none -b 1024"},
	{"ext3 1k", 16384, "-t ext3 -b 1024"},
	{"ext3 4k", 32768, "-t ext3 -b 4096"},
	{"ext4 1k", 20000, "-t ext4 -b 1024"},
	{"ext4 2k", 20000, "-t ext4 -b 2048"},
	{"ext4 4k", 20000, "-t ext4 -b 4096"},
	{"ext4 64k", 131072, "-t ext4 -b 65536"},
	{"ext4 many groups", 65536, "-t ext4 -b 1024 -g 1024 -O ^resize_inode"},
	{"ext4 no checksums", 32768, "-t ext4 -O ^metadata_csum,^64bit"},
	{"ext4 uninit_bg", 70000, "-t ext4 -b 1024 -O ^metadata_csum,uninit_bg"},
	{"ext4 no flex_bg", 65536, "-t ext4 -b 1024 -O ^flex_bg"},
	{"ext4 meta_bg", 65536, "-t ext4 -b 1024 -O meta_bg,^resize_inode"},
	{"ext4 meta_bg small groups", 40000, "-t ext4 -b 1024 -g 512 -O meta_bg,^resize_inode"},
	{"ext4 sparse_super2", 65536, "-t ext4 -b 1024 -O sparse_super2"},
	{"ext4 bigalloc", 65536, "-t ext4 -O bigalloc -C 16384"},
	{"ext4 bigalloc 1k", 65536, "-t ext4 -b 1024 -O bigalloc -C 8192"},
	{"ext4 inline_data", 32768, "-t ext4 -O inline_data"},
	{"ext4 no journal", 16384, "-t ext4 -O ^has_journal"},
	{"ext4 inode 128", 16384, "-t ext4 -I 128"},
	{"ext4 inode 1024", 16384, "-t ext4 -I 1024 -O inline_data"},
	{"ext4 quota", 32768, "-t ext4 -O quota,project"},
	{"ext4 mmp", 32768, "-t ext4 -O mmp -E mmp_update_interval=1"},
	{"ext4 orphan_file", 32768, "-t ext4 -O orphan_file"},
	{"ext4 ea_inode, large_dir", 32768, "-t ext4 -O ea_inode,large_dir"},
	{"ext4 encrypt, verity, casefold", 32768, "-t ext4 -O encrypt,verity,casefold"},
	{"ext4 64bit, meta_bg", 65536, "-t ext4 -b 1024 -O 64bit,meta_bg,^resize_inode"},
	{"ext3 meta_bg", 65536, "-t ext3 -b 1024 -g 2048 -O meta_bg,^resize_inode"},
	{"ext4 32k", 131072, "-t ext4 -b 32768"},
	{"ext2 no sparse_super", 40000, "-t ext2 -b 1024 -O ^sparse_super,^resize_inode"},
	{"ext4 fast_commit", 32768, "-t ext4 -O fast_commit"},
	{"ext4 lazy", 70000, "-t ext4 -b 1024 -E lazy_itable_init=1,lazy_journal_init=1"},
}

func need(t *testing.T) { fstest.Need(t, "e2fsprogs", "mke2fs", "debugfs", "e2fsck") }

// debugfs runs a script on an image.
func debugfs(t *testing.T, image string, script ...string) {
	t.Helper()
	p := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(p, []byte(strings.Join(script, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	fstest.Program(t, "debugfs", "-w", "-f", p, image)
}

// populate writes a tree with every kind of file and deletes a part of it.
func populate(t *testing.T, image string, files int) {
	t.Helper()
	dir := t.TempDir()
	var script []string
	write := func(name string, n int) {
		p := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(p, []byte(strings.Repeat(name+"#", n/(len(name)+1)+1)[:n]), 0o644); err != nil {
			t.Fatal(err)
		}
		script = append(script, fmt.Sprintf("write %s %s", p, name))
	}
	script = append(script, "mkdir etc", "mkdir var", "mkdir var/log", "cd /var/log")
	for i := range files {
		write(fmt.Sprintf("log-entry-with-a-longer-name-%04d", i), 40+i*97%9000)
	}
	script = append(script, "cd /")
	for i := range files {
		if i%3 != 0 {
			script = append(script, fmt.Sprintf("rm /var/log/log-entry-with-a-longer-name-%04d", i))
		}
	}
	write("tiny", 30)
	write("middle", 120)
	write("empty", 0)
	write("large", 700_001)
	script = append(script,
		"symlink short etc/target", "symlink long /"+strings.Repeat("directory/", 12)+"target",
		"symlink gone /secret/path/to/nowhere", "rm gone",
		"mknod pipe p", "mknod null c 1 3", "ln /tiny /etc/hard", "sif /tiny links_count 2",
		"ea_set /tiny user.comment hello", "ea_set /middle user.big "+strings.Repeat("v", 300),
		"ea_set /middle user.gone secret", "ea_rm /middle user.gone",
		"mkdir empty-dir", "mkdir dropped", "rmdir dropped")
	debugfs(t, image, script...)
}

func check(t *testing.T, path string) {
	t.Helper()
	fstest.Program(t, "e2fsck", "-fn", path)
}

// repair corrects the counts that debugfs does not keep (quota, clusters).
// Whether it succeeded is for check to say.
func repair(path string) {
	for range 2 {
		_ = exec.Command("e2fsck", "-fy", path).Run()
	}
}

// extract reads the tree with debugfs.
func extract(t *testing.T, path string) map[string]string {
	dir := t.TempDir()
	fstest.Program(t, "debugfs", "-R", "rdump / "+dir, path)
	// debugfs dumps an inline file with all of i_block behind its end.
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil || len(b) != 60 {
			return err
		}
		return os.WriteFile(p, bytes.TrimRight(b, "\x00"), 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return fstest.Files(t, dir)
}

// TestJournalDevice takes a device that holds nothing but a journal.
func TestJournalDevice(t *testing.T) {
	need(t)
	for _, block := range []string{"1024", "4096"} {
		fstest.Suite{
			Driver: ext.Driver{},
			Make: func(t *testing.T, path string) {
				fstest.Program(t, "mke2fs", "-q", "-F", "-b", block, "-O", "journal_dev", "-L", "log", path, "8m")
			},
			Check: func(t *testing.T, path string) {
				if out := fstest.Program(t, "dumpe2fs", path); !strings.Contains(out, "Journal start:            0") {
					t.Errorf("dumpe2fs reads %s", out)
				}
			},
		}.Run(t)
	}
}

func TestContract(t *testing.T) {
	need(t)
	for i, v := range variants {
		if testing.Short() && i%5 != 0 {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			t.Parallel() // e2fsprogs wait for seconds where there may be other writers
			fstest.Suite{
				Driver: ext.Driver{},
				Make: func(t *testing.T, path string) {
					args := append([]string{"-q", "-F"}, strings.Fields(v.args)...)
					fstest.Program(t, "mke2fs", append(args, path, fmt.Sprintf("%dk", v.kib))...)
					populate(t, path, 60)
					if strings.Contains(v.name, "ext4") && !strings.Contains(v.name, "bigalloc") {
						debugfs(t, path, "fallocate /large 700 900")
					}
					repair(path)
				},
				Check: check,
				Live:  extract,
			}.Run(t)
		})
	}
}
