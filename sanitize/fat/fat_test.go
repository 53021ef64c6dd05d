package fat_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/sanitize/fat"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// volume describes an image for mkfs.fat.
type volume struct {
	name string
	kib  string // size
	args []string
}

var volumes = []volume{
	{"FAT12", "1440", []string{"-F12"}},
	{"FAT12 with clusters of one sector", "1500", []string{"-F12", "-s1"}},
	{"FAT16", "20001", []string{"-F16", "-s2"}},
	{"FAT16 with sectors of 4096 bytes", "70000", []string{"-F16", "-S4096", "-s1"}},
	{"FAT32", "40003", []string{"-F32", "-s1"}},
	{"FAT32 with one table", "48000", []string{"-F32", "-s1", "-f1"}},
}

func need(t *testing.T) {
	fstest.Need(t, "dosfstools", "mkfs.fat", "fsck.fat")
	fstest.Need(t, "mtools", "mcopy", "mdel", "mmd")
}

// fill writes a tree of short, long and non-ASCII names and deletes a part.
func fill(t *testing.T, image string) {
	dir := t.TempDir()
	write := func(name string, n int) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(strings.Repeat(name+"!", n/(len(name)+1)+1)[:n]), 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	mtool := func(tool string, args ...string) { fstest.Program(t, tool, append([]string{"-i", image}, args...)...) }
	mtool("mmd", "::/EFI", "::/EFI/BOOT", "::/a long directory name")
	mtool("mcopy", write("bootx64.efi", 70001), "::/EFI/BOOT/BOOTX64.EFI")
	mtool("mcopy", write("empty", 0), "::/empty")
	mtool("mcopy", write("A rather long file name.config", 777), "::/")
	for i := range 40 {
		name := "secret-file-" + strings.Repeat("x", i) + ".txt"
		mtool("mcopy", write(name, 900+i*37), "::/a long directory name/")
		if i%3 != 0 {
			mtool("mdel", "::/a long directory name/"+name)
		}
	}
	mtool("mcopy", write("vmlinuz", 100000), "::/vmlinuz")
}

func TestContract(t *testing.T) {
	need(t)
	for i, v := range volumes {
		if testing.Short() && i%4 != 0 {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			fstest.Suite{
				Driver: fat.Driver{},
				Make: func(t *testing.T, path string) {
					fstest.Program(t, "mkfs.fat", append(append([]string{"-C", "--invariant"}, v.args...), path, v.kib)...)
					fill(t, path)
				},
				Check: func(t *testing.T, path string) { fstest.Program(t, "fsck.fat", "-n", path) },
				Live:  extract,
			}.Run(t)
		})
	}
}

// extract reads the tree with mtools.
func extract(t *testing.T, path string) map[string]string {
	dir := t.TempDir()
	fstest.Program(t, "mcopy", "-s", "-n", "-i", path, "::/*", dir)
	return fstest.Files(t, dir)
}
