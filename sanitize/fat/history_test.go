package fat_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/sanitize/fat"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// TestRandomHistory plays histories through mtools.
func TestRandomHistory(t *testing.T) {
	need(t)
	fstest.Need(t, "mtools", "mmove")
	for i, v := range volumes[2:5] {
		if testing.Short() && i != 1 {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			fstest.History{
				Driver: fat.Driver{},
				Make: func(t *testing.T, path string) {
					fstest.Program(t, "mkfs.fat", append(append([]string{"-C", "--invariant"}, v.args...), path, v.kib)...)
				},
				Check: func(t *testing.T, path string) { fstest.Program(t, "fsck.fat", "-n", path) },
				Live:  extract,
				Play:  play,
				Name:  name,
				Steps: 120, Content: 60_000,
			}.Run(t, uint64(i))
		})
	}
}

// name is a short name for every third file, and a long one for the others: its
// second piece, of six characters, is the number.
func name(id int) (string, [][]byte) {
	digits := fmt.Sprintf("%06X", id)
	if id%3 == 0 {
		return "M" + digits + ".TXT", [][]byte{[]byte(digits + " TXT")}
	}
	var wide []byte
	for _, c := range []byte(digits) {
		wide = append(wide, c, 0)
	}
	return "mark-" + digits + " with a long name.text", [][]byte{wide}
}

// play makes the changes with mtools.
func play(t *testing.T, image string, steps []fstest.Step) {
	dir := t.TempDir()
	mtool := func(tool string, args ...string) { fstest.Program(t, tool, append([]string{"-i", image}, args...)...) }
	for i, s := range steps {
		switch s.Op {
		case fstest.Mkdir:
			mtool("mmd", "::"+s.Path)
		case fstest.Write:
			p := filepath.Join(dir, fmt.Sprint(i))
			if err := os.WriteFile(p, s.Data, 0o644); err != nil {
				t.Fatal(err)
			}
			mtool("mcopy", "-o", p, "::"+s.Path)
		case fstest.Rename:
			mtool("mmove", "::"+s.Path, "::"+s.To)
		case fstest.Remove:
			mtool("mdel", "::"+s.Path)
		}
	}
}
