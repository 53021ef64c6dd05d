package carve_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/sanitize/audit/carve"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// TestXFSDirectory finds the names in a block that mkfs.xfs wrote, of either
// version, and in the same block when all of it is marked as free.
func TestXFSDirectory(t *testing.T) {
	fstest.Need(t, "xfsprogs", "mkfs.xfs")
	for version, magic := range map[string]string{"1": "XDB3", "0": "XD2B"} {
		dir := t.TempDir()
		proto := "/dev/null\n0 0\nd--755 0 0\n"
		for i := range 20 {
			proto += fmt.Sprintf("secret-plan-%02d ---644 0 0 /dev/null\n", i)
		}
		if err := os.WriteFile(filepath.Join(dir, "proto"), []byte(proto+"$\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		image := filepath.Join(dir, "image")
		fstest.Program(t, "mkfs.xfs", "-q", "-m", "crc="+version, "-p", filepath.Join(dir, "proto"), "-d", "file,size=320m,name="+image)
		disk, err := os.ReadFile(image)
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(disk, []byte(magic))
		if at < 0 {
			t.Fatalf("the image has no block %s", magic)
		}
		block := bytes.Clone(disk[at:][:4096])
		for _, state := range []string{"live", "freed"} {
			name, f, ok := measure(block, 0)
			if !ok || name != "xfs-dir" || f.Size != 4096 || f.Confidence != carve.High || !strings.HasPrefix(f.Detail, "20 names: secret-plan-00, ") {
				t.Errorf("the %s block %s is taken for %s: %+v", state, magic, name, f)
			}
			head := map[string]int{"XDB3": 64, "XD2B": 16}[magic]
			copy(block[head:], "\xff\xff\x0f\x00")
		}
		if _, _, ok := measure(append([]byte(magic), bytes.Repeat([]byte{7}, 5000)...), 0); ok {
			t.Errorf("%s alone is taken for a directory", magic)
		}
	}
}
