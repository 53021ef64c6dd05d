package xfs_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/sanitize/fstest"
	"github.com/imgbuild/imgbuild/sanitize/xfs"
)

// variants cover every form of the layout that mkfs.xfs writes.
var variants = []struct {
	name string
	mib  int
	args string
}{
	{"v5", 48, "-m rmapbt=1,reflink=1,bigtime=1,inobtcount=1 -i nrext64=1,sparse=1"},
	{"v4", 32, "-m crc=0,finobt=0"},
	{"v5 plain", 32, "-m rmapbt=0,reflink=0,bigtime=0,inobtcount=0,finobt=0 -i sparse=0"},
	{"v4 512 bytes", 32, "-m crc=0 -b size=512 -l size=4m"},
	{"v5 1k", 32, "-b size=1024"},
	{"v5 64k", 200, "-b size=65536"},
	{"v5 directory blocks of 16k", 32, "-n size=16384"},
	{"v5 1k with directory blocks of 8k", 32, "-b size=1024 -n size=8192"},
	{"v5 large inodes", 32, "-i size=2048"},
	{"v5 large sectors", 32, "-s size=4096"},
	{"v5 log stripes", 128, "-l su=256k,size=24m -d agcount=2"},
	{"v5 ascii-ci", 32, "-n version=ci"},
	{"v4 first log", 32, "-m crc=0,finobt=0 -l version=1 -i attr=1,projid32bit=0 -n ftype=0"},
	{"v5 many groups", 128, "-d agcount=8"},
}

func need(t testing.TB) {
	fstest.Need(t, "xfsprogs", "mkfs.xfs", "xfs_repair", "xfs_db")
}

// mkfs makes a filesystem of a size that is only meant for tests.
func mkfs(t testing.TB, path string, mib int, args string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, int64(mib)<<20); err != nil {
		t.Fatal(err)
	}
	argv := append([]string{"--unsupported", "-q", "-f"}, strings.Fields(args)...)
	fstest.Program(t, "mkfs.xfs", append(argv, path)...)
}

// mounted runs fn with the image mounted by the kernel. It returns false where
// that is not to be had: it needs root, and a kernel with this form of XFS.
func mounted(t testing.TB, image, options string, fn func(dir string)) bool {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "xfs", "-o", "loop,"+options, image, dir).CombinedOutput(); err != nil {
		t.Logf("the kernel does not mount it: %v: %s", err, out)
		return false
	}
	defer fstest.Program(t, "umount", dir)
	fn(dir)
	return true
}

func check(t *testing.T, path string) {
	t.Helper()
	fstest.Program(t, "xfs_repair", "-n", path)
}

// shell runs a script in a folder.
func shell(t testing.TB, dir, script string) {
	t.Helper()
	cmd := exec.Command("bash", "-e", "-c", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// populate writes a tree with every kind of file and deletes a part of it.
const populate = `
	mkdir -p etc var/log small empty-dir dropped; rmdir dropped
	for i in $(seq 300); do
		printf '%0*d' $((i * 97 % 9000)) $i > var/log/log-entry-with-a-longer-name-$i
	done
	for i in $(seq 300); do [ $((i % 3)) = 0 ] || rm var/log/log-entry-with-a-longer-name-$i; done
	for i in 1 2 3 4; do echo $i > small/f$i; done; rm small/f2
	head -c 700001 /dev/urandom > large
	for i in $(seq 40); do dd if=/dev/urandom of=fragmented bs=4k count=1 seek=$((i * 2)) status=none; done
	touch empty
	fallocate -o 1m -l 600k -n large; fallocate -l 300k unwritten; echo x | dd of=unwritten conv=notrunc status=none
	cp --reflink=auto large copy; truncate -s 100000 copy
	ln -s short etc/target; ln -s /$(printf 'directory/%.0s' $(seq 99))target etc/long; ln -s /secret gone; rm gone
	mkfifo pipe; mknod null c 1 3; ln small/f1 etc/hard
	setfattr -n user.comment -v hello small/f1
	setfattr -n user.gone -v secret small/f3; setfattr -x user.gone small/f3
	for i in $(seq 30); do setfattr -n user.many$i -v "$(printf '%0200d' $i)" small/f4; done
	for i in $(seq 10); do setfattr -x user.many$i small/f4; done
	setfattr -n user.remote -v "$(head -c 5000 /dev/zero | tr '\0' v)" etc
`

// prototype makes a filesystem that the kernel cannot mount, of the files in
// dir, which mkfs.xfs copies.
func prototype(t testing.TB, path string, mib int, args, dir string) {
	t.Helper()
	var b strings.Builder
	b.WriteString("/dev/null\n0 0\nd--755 0 0\n")
	var list func(dir string)
	list = func(dir string) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			p := filepath.Join(dir, e.Name())
			switch {
			case e.IsDir():
				fmt.Fprintf(&b, "%s d--755 0 0\n", e.Name())
				list(p)
			case e.Type().IsRegular():
				fmt.Fprintf(&b, "%s ---644 0 0 %s\n", e.Name(), p)
			default:
				target, err := os.Readlink(p)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&b, "%s l--777 0 0 %s\n", e.Name(), target)
			}
		}
		b.WriteString("$\n")
	}
	list(dir)
	p := filepath.Join(t.TempDir(), "prototype")
	if err := os.WriteFile(p, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	mkfs(t, path, mib, args+" -p "+p)
}

// sources writes files for a prototype.
func sources(t testing.TB, v5 bool) string {
	dir := t.TempDir()
	shell(t, dir, `
		mkdir -p etc var/log many empty-dir
		for i in $(seq 30); do printf '%0*d' $((i * 97 % 9000)) $i > var/log/log-entry-with-a-longer-name-$i; done
		for i in $(seq 2000); do : > many/one-of-a-great-many-empty-files-$i; done
		for i in 1 2 3 4; do echo $i > etc/f$i; done
		head -c 700001 /dev/urandom > large
		ln -s short etc/target
	`)
	if !v5 { // mkfs.xfs 6.1 forgets the header of a long target
		shell(t, dir, `ln -s /$(printf 'directory/%.0s' $(seq 90))target etc/long`)
	}
	return dir
}

func TestContract(t *testing.T) {
	need(t)
	for i, v := range variants {
		if testing.Short() && i > 1 {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			var tree map[string]string // of what the kernel cannot mount
			suite := fstest.Suite{Driver: xfs.Driver{}, Check: check}
			suite.Make = func(t *testing.T, path string) {
				mkfs(t, path, v.mib, v.args)
				if mounted(t, path, "nouuid", func(dir string) { shell(t, dir, populate) }) {
					return
				}
				dir := sources(t, strings.HasPrefix(v.name, "v5"))
				prototype(t, path, v.mib, v.args, dir)
				tree = fstest.Files(t, dir)
			}
			suite.Live = func(t *testing.T, path string) map[string]string {
				if tree != nil {
					return tree
				}
				var read map[string]string
				mounted(t, path, "ro,norecovery,nouuid", func(dir string) { read = fstest.Files(t, dir) })
				return read
			}
			suite.Run(t)
		})
	}
}

// scatter fills a filesystem with files of a block, deletes runs of them, and
// fills the runs with inodes.
const scatter = `
	(head -c 25M /dev/urandom | split -b 1024 -a 5 -d - f 2>/dev/null || true); sync
	n=0; for f in f*; do n=$((n + 1)); [ $((n % 48)) -ge 24 ] || echo $f; done | xargs rm; sync
	for i in $(seq 4000); do : > e$i || break; done 2>/dev/null
`

// TestScattered reads trees of several levels.
func TestScattered(t *testing.T) {
	need(t)
	if testing.Short() {
		t.Skip("the contract takes what is small")
	}
	fstest.Suite{
		Driver: xfs.Driver{},
		Make: func(t *testing.T, path string) {
			mkfs(t, path, 32, "-b size=1024 -d agcount=2 -m rmapbt=1 -l size=6m")
			if !mounted(t, path, "nouuid", func(dir string) { shell(t, dir, scatter) }) {
				t.Skip("the kernel does not mount XFS")
			}
			p := &planter{t: t, image: path}
			if p.number("agf 0", "p rmaplevel") < 2 || p.number("agf 0", "p bnolevel") < 2 {
				t.Error("the trees have one level")
			}
		},
		Check: check,
	}.Run(t)
}
