package squashfs_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/sanitize/fstest"
	"github.com/imgbuild/imgbuild/sanitize/squashfs"
)

func TestContract(t *testing.T) {
	fstest.Need(t, "squashfs-tools", "mksquashfs", "unsquashfs")
	root := t.TempDir()
	for i, n := range []int{0, 1, 5000, 131072, 400_000} {
		b := bytes.Repeat([]byte{byte(i), 'x', 'y'}, n/3+1)[:n]
		if err := os.WriteFile(filepath.Join(root, string(rune('a'+i))), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, args := range map[string][]string{
		"gzip": nil, "zstd": {"-comp", "zstd"}, "exports, no fragments": {"-no-fragments", "-exports"},
		"unpadded": {"-nopad"}, "options": {"-comp", "gzip", "-Xcompression-level", "3"},
	} {
		t.Run(name, func(t *testing.T) {
			fstest.Suite{
				Driver: squashfs.Driver{},
				Make: func(t *testing.T, path string) {
					fstest.Program(t, "mksquashfs", append([]string{root, path, "-quiet", "-no-progress"}, args...)...)
					// A partition is seldom full.
					if err := os.Truncate(path, 1<<20); err != nil {
						t.Fatal(err)
					}
				},
				Check: func(t *testing.T, path string) {
					fstest.Program(t, "unsquashfs", "-s", path)
					dir := filepath.Join(t.TempDir(), "out")
					fstest.Program(t, "unsquashfs", "-no-progress", "-d", dir, path)
					if diff := cmp.Diff(fstest.Files(t, root), fstest.Files(t, dir)); diff != "" {
						t.Errorf("unsquashfs reads (-want +got):\n%s", diff)
					}
				},
			}.Run(t)
		})
	}
}
