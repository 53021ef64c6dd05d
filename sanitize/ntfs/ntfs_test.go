package ntfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
	"github.com/imgbuild/imgbuild/sanitize/ntfs"
)

// variants cover the geometries that mkntfs makes.
var variants = []struct {
	name string
	mib  int
	args string
}{
	{"clusters of 4096", 24, ""},
	{"clusters of 512", 16, "-c 512"},
	{"clusters of 1024 without indexing", 16, "-c 1024 -I"},
	{"clusters of 2048", 16, "-c 2048"},
	{"clusters of 8192", 24, "-c 8192"},
	{"clusters of 65536", 64, "-c 65536"},
	{"sectors of 1024", 24, "-s 1024 -c 4096"},
	{"sectors of 4096", 32, "-s 4096"},
	{"clusters of 131072", 64, "-c 131072"},
}

func need(t *testing.T) {
	t.Helper()
	fstest.Need(t, "ntfs-3g", "mkntfs", "ntfs-3g", "ntfsfix", "ntfsresize", "ntfscat")
	fstest.Need(t, "fuse3", "fusermount3")
	if os.Geteuid() != 0 {
		t.Skip("mounting with ntfs-3g needs root")
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skip("mounting with ntfs-3g needs /dev/fuse")
	}
}

// make writes an empty volume.
func makeVolume(t *testing.T, path string, mib int, args string) {
	t.Helper()
	d, err := disk.CreateFile(path, int64(mib)<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	fstest.Program(t, "mkntfs", append(append([]string{"-F", "-q", "-Q", "-L", "the label"}, strings.Fields(args)...), path)...)
}

// mounted calls do with the folder where ntfs-3g shows the volume, and
// unmounts it.
func mounted(t *testing.T, image, options string, do func(dir string)) {
	t.Helper()
	dir := t.TempDir()
	fstest.Program(t, "ntfs-3g", "-o", "compression,streams_interface=xattr"+options, image, dir)
	defer fstest.Program(t, "umount", dir)
	do(dir)
}

// check runs the checkers. ntfsfix -n reports what it would do and ends well
// only when it finds nothing.
func check(t *testing.T, path string) {
	t.Helper()
	fstest.Program(t, "ntfsfix", "-n", path)
	if out := fstest.Program(t, "ntfsresize", "-f", "-i", path); !strings.Contains(out, "Space in use") {
		t.Errorf("ntfsresize: %s", out)
	}
}

// live reads the tree through a mount, streams and system files too.
func live(t *testing.T, path string) map[string]string {
	tree := map[string]string{}
	mounted(t, path, ",ro,show_sys_files", func(dir string) {
		must(t, filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name := "/" + strings.TrimPrefix(p[len(dir):], "/")
			switch {
			case e.IsDir():
				tree[name] = "dir"
			case e.Type()&fs.ModeSymlink != 0:
				target, err := os.Readlink(p)
				tree[name] = interix(t, target)
				return err
			default:
				b, err := os.ReadFile(p)
				if err != nil && !strings.HasPrefix(name, "/$Extend/") { // which have no data
					return err
				}
				tree[name] = fstest.Sum(t, bytes.NewReader(b))
			}
			for stream, value := range streams(t, p) {
				tree[name+":"+stream] = value
			}
			return nil
		}))
	})
	// Streams of system files, which a mount does not show.
	for name, args := range map[string][]string{"/$Secure:$SDS": {"-i9", "-n$SDS"}, "/$UpCase:$Info": {"-i10", "-n$Info"}} {
		out := fstest.Program(t, "ntfscat", append(append([]string{"-f", "-a128"}, args...), path)...)
		tree[name] = fstest.Sum(t, strings.NewReader(out))
	}
	for _, changed := range []string{"/$MFT", "/$MFTMirr", "/$LogFile", "/$BadClus:$Bad"} {
		delete(tree, changed)
	}
	return tree
}

// interix is the digest of the file that ntfs-3g makes for a symbolic link.
func interix(t *testing.T, target string) string {
	b := []byte("IntxLNK\x01")
	for _, c := range utf16.Encode([]rune(target)) {
		b = append(b, byte(c), byte(c>>8))
	}
	return fstest.Sum(t, bytes.NewReader(b))
}

// streams reads the named streams, which ntfs-3g shows as attributes.
func streams(t *testing.T, path string) map[string]string {
	t.Helper()
	names, values := make([]byte, 64<<10), make([]byte, 1<<20)
	n, err := unix.Llistxattr(path, names)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, name := range strings.Split(strings.TrimRight(string(names[:n]), "\x00"), "\x00") {
		stream, ok := strings.CutPrefix(name, "user.")
		if !ok {
			continue
		}
		n, err := unix.Lgetxattr(path, name, values)
		if errors.Is(err, unix.E2BIG) || errors.Is(err, unix.ERANGE) {
			continue
		}
		if err != nil {
			t.Fatalf("reading stream %s of %s: %v", stream, path, err)
		}
		found[stream] = fstest.Sum(t, bytes.NewReader(values[:n]))
	}
	return found
}

// text returns n bytes that compress well and tell what they belong to.
func text(mark string, n int) []byte {
	return []byte(strings.Repeat(mark+" ", n/(len(mark)+1)+1)[:n])
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// noise returns n bytes that do not compress.
func noise(n int) []byte {
	b, x := make([]byte, n), uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// fill writes a tree with every kind of file and deletes a part of it. What is
// deleted holds the word SECRET, what stays holds LIVE.
func fill(t *testing.T, image string, compress bool) {
	t.Helper()
	mounted(t, image, "", func(dir string) {
		p := func(name string) string { return filepath.Join(dir, name) }
		// A large directory of which little stays, with resident and other
		// files.
		for i := range 300 {
			write(t, p(fmt.Sprintf("large directory/SECRET entry with a rather long name %03d", i)), text("SECRET", i*17%3000))
		}
		for i := range 40 {
			write(t, p(fmt.Sprintf("large directory/LIVE %03d", i)), text("LIVE", i*97%5000))
		}
		for i := range 300 {
			must(t, os.Remove(p(fmt.Sprintf("large directory/SECRET entry with a rather long name %03d", i))))
		}
		write(t, p("gone directory/SECRET-file"), text("SECRET", 100))
		must(t, os.RemoveAll(p("gone directory")))
		// Tails: of a value, of a cluster, and clusters beyond the end.
		write(t, p("resident"), []byte("LIVE SECRET"))
		must(t, os.Truncate(p("resident"), 5))
		write(t, p("tail"), text("SECRET", 70000))
		write(t, p("tail"), text("LIVE", 30001))
		write(t, p("truncated"), text("SECRET", 90000))
		must(t, os.Truncate(p("truncated"), 0))
		// Fragments, so many that the mapping leaves the record.
		fragments, err := os.Create(p("fragments"))
		must(t, err)
		other, err := os.Create(p("other"))
		must(t, err)
		for range 150 {
			_, err := fragments.Write(text("LIVE", 4096))
			must(t, err)
			_, err = other.Write(text("SECRET", 4096))
			must(t, err)
		}
		must(t, errors.Join(fragments.Close(), other.Close()))
		must(t, os.Remove(p("other")))
		// Many names and streams, which leave the record too.
		write(t, p("first name"), text("LIVE", 700))
		for i := range 20 {
			must(t, os.Link(p("first name"), p(fmt.Sprintf("LIVE link with a long name, number %02d", i))))
		}
		for i := range 6 {
			must(t, os.Remove(p(fmt.Sprintf("LIVE link with a long name, number %02d", i))))
		}
		must(t, unix.Setxattr(p("tail"), "user.stream", text("LIVE", 9000), 0))
		must(t, unix.Setxattr(p("tail"), "user.small", []byte("LIVE"), 0))
		must(t, unix.Setxattr(p("tail"), "user.gone", text("SECRET", 3000), 0))
		must(t, unix.Removexattr(p("tail"), "user.gone"))
		must(t, unix.Setxattr(p("large directory"), "user.of a directory", text("LIVE", 300), 0))
		sparse, err := os.Create(p("sparse"))
		must(t, err)
		_, err = sparse.WriteAt(text("LIVE", 5000), 300_000)
		must(t, errors.Join(err, sparse.Truncate(900_000), sparse.Close()))
		must(t, os.Symlink("tail", p("link")))
		write(t, p("日本語 ünïcode"), text("LIVE", 20))
		write(t, p("empty"), nil)
		if compress {
			fillCompressed(t, p("compressed"))
		}
	})
}

// fillCompressed makes a folder in which ntfs-3g compresses.
func fillCompressed(t *testing.T, dir string) {
	t.Helper()
	must(t, os.Mkdir(dir, 0o755))
	must(t, unix.Setxattr(dir, "system.ntfs_attrib_be", []byte{0, 0, 0x08, 0x10}, 0))
	write(t, filepath.Join(dir, "SECRET"), noise(200_000))
	must(t, os.Remove(filepath.Join(dir, "SECRET")))
	write(t, filepath.Join(dir, "text"), text("LIVE", 300_001))
	write(t, filepath.Join(dir, "noise"), noise(150_000))
	write(t, filepath.Join(dir, "mixed"), append(append(text("LIVE", 100_000), noise(100_000)...), text("LIVE", 50_000)...))
	write(t, filepath.Join(dir, "truncated"), append(text("LIVE", 70_000), text("SECRET and SECRET", 130_000)...))
	must(t, os.Truncate(filepath.Join(dir, "truncated"), 70_000))
}

func TestContract(t *testing.T) {
	need(t)
	for i, v := range variants {
		if testing.Short() && i > 1 {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			fstest.Suite{
				Driver: ntfs.Driver{},
				Make: func(t *testing.T, path string) {
					makeVolume(t, path, v.mib, v.args)
					fill(t, path, !strings.Contains(v.args, "-c 8192") && !strings.Contains(v.args, "-c 65536") && !strings.Contains(v.args, "-c 131072"))
				},
				Check: check,
				Live:  live,
			}.Run(t)
		})
	}
}
