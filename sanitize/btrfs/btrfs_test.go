package btrfs_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/sanitize/btrfs"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// variants cover the forms of the layout on one device, and every kind of
// compression.
var variants = []struct {
	name        string
	mib         int
	mkfs, mount string
}{
	{"default", 128, "-L label", "compress=zstd"},
	{"mixed", 48, "--mixed -n 4096", "compress-force=lzo"},
	{"xxhash", 64, "--csum xxhash -m single", "compress-force=zlib"},
	{"sha256", 256, "--csum sha256 -d dup", "nodatasum"},
	{"blake2", 64, "--csum blake2 -n 65536 -m single", "nodatacow"},
	{"old", 128, "-O ^no-holes,^skinny-metadata,^extref -R ^free-space-tree", "space_cache=v1"},
	{"4k", 64, "-n 4096 -m single", "max_inline=2000"},
}

func need(t testing.TB) { fstest.Need(t, "btrfs-progs", "mkfs.btrfs", "btrfs") }

func mkfs(t testing.TB, path string, mib int, args string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, int64(mib)<<20); err != nil {
		t.Fatal(err)
	}
	fstest.Program(t, "mkfs.btrfs", append(append([]string{"-q"}, strings.Fields(args)...), path)...)
}

// mounted runs fn with the image mounted by the kernel. It returns false where
// that is not to be had: it needs root, and a kernel with this form of btrfs.
func mounted(t testing.TB, image, options string, fn func(dir string)) bool {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "btrfs", "-o", "loop,"+options, image, dir).CombinedOutput(); err != nil {
		t.Logf("the kernel does not mount it: %v: %s", err, out)
		return false
	}
	defer fstest.Program(t, "umount", dir)
	fn(dir)
	return true
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

func check(t *testing.T, path string) {
	t.Helper()
	fstest.Program(t, "btrfs", "check", "--check-data-csum", path)
}

// populate writes a tree with every kind of file and deletes a part of it.
const populate = `
	mkdir -p etc var/log small; btrfs subvolume create sub >/dev/null; mkdir sub/inner
	for i in $(seq 200); do
		printf '%0*d' $((i * 97 % 9000)) $i > var/log/log-entry-with-a-longer-name-$i
	done
	sync
	for i in $(seq 200); do [ $((i % 3)) = 0 ] || rm var/log/log-entry-with-a-longer-name-$i; done
	for i in 1 2 3 4; do echo $i > small/f$i; done; rm small/f2
	head -c 300001 /dev/urandom > large; seq 60000 > text; cp --reflink=auto large sub/copy
	sync
	seq 3000 | dd of=text bs=4096 seek=20 conv=notrunc status=none
	dd if=/dev/urandom of=large bs=4096 seek=10 count=7 conv=notrunc status=none; truncate -s 200000 large
	btrfs subvolume snapshot sub sub/snap >/dev/null; btrfs subvolume snapshot -r sub snap2 >/dev/null
	touch empty; truncate -s 1m sparse; echo x | dd of=sparse conv=notrunc status=none bs=4096 seek=30
	fallocate -o 1m -l 600k -n large; fallocate -l 300k unwritten; echo x | dd of=unwritten conv=notrunc status=none
	ln -s short etc/target; ln -s /$(printf 'directory/%.0s' $(seq 99))target etc/long; ln -s /secret gone; rm gone
	mkfifo pipe; mknod null c 1 3; ln small/f1 etc/hard
	setfattr -n user.comment -v hello small/f1; setfattr -n user.gone -v secret small/f3; sync; setfattr -x user.gone small/f3
`

// content reads the tree through the kernel.
func content(t *testing.T, path string) (tree map[string]string) {
	mounted(t, path, "ro", func(dir string) { tree = fstest.Files(t, dir) })
	return tree
}

func TestContract(t *testing.T) {
	need(t)
	for i, v := range variants {
		if testing.Short() && i > 1 {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			fstest.Suite{
				Driver: btrfs.Driver{},
				Make: func(t *testing.T, path string) {
					mkfs(t, path, v.mib, v.mkfs)
					if !mounted(t, path, v.mount, func(dir string) { shell(t, dir, populate) }) {
						t.Skip("the kernel does not mount btrfs")
					}
				},
				Check: check,
				Live:  content,
			}.Run(t)
		})
	}
}
