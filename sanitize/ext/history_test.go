package ext_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/sanitize/ext"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// lives are the layouts on which histories are played.
var lives = []string{"-t ext4", "-t ext4 -b 1024 -O inline_data", "-t ext4 -O bigalloc -C 16384", "-t ext3 -b 1024", "-t ext2", "-t ext4 -b 1024 -O orphan_file,^flex_bg"}

// TestRandomHistory plays histories through debugfs, and through the kernel
// where the test may mount.
func TestRandomHistory(t *testing.T) {
	need(t)
	for i, args := range lives {
		if testing.Short() && i > 1 {
			break
		}
		h := fstest.History{
			Driver: ext.Driver{},
			Make: func(t *testing.T, path string) {
				fstest.Program(t, "mke2fs", append(strings.Fields("-q -F "+args), path, "48m")...)
			},
			Check: check, Live: extract,
			Name: func(id int) (string, [][]byte) {
				return fmt.Sprintf("file-%06x-%s", id, "which has a longer name than fits into a gap"[:id%40]), [][]byte{fmt.Appendf(nil, "file-%06x-", id)}
			},
			Content: 300_000,
		}
		t.Run("debugfs "+args, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(args, "inline_data") {
				t.Skip("debugfs loses names of inline directories")
			}
			h := h
			h.Steps, h.Play = 200, playDebugfs
			h.Run(t, uint64(i))
		})
		t.Run("kernel "+args, func(t *testing.T) {
			t.Parallel()
			h := h
			h.Steps, h.Play = 500, playMounted
			h.Run(t, uint64(i))
		})
	}
}

// playDebugfs makes the changes without a mount.
func playDebugfs(t *testing.T, image string, steps []fstest.Step) {
	dir := t.TempDir()
	var script []string
	for i, s := range steps {
		switch s.Op {
		case fstest.Mkdir:
			script = append(script, quote("mkdir", s.Path))
		case fstest.Write:
			p := filepath.Join(dir, fmt.Sprint(i))
			if err := os.WriteFile(p, s.Data, 0o644); err != nil {
				t.Fatal(err)
			}
			if s.Old != nil {
				script = append(script, quote("rm", s.Path))
			}
			// write takes no path, and wants the folder to be the current one.
			script = append(script, quote("cd", filepath.Dir(s.Path)), quote("write", p, filepath.Base(s.Path)), "cd /")
		case fstest.Rename:
			script = append(script, quote("ln", s.Path, s.To), quote("unlink", s.Path))
		case fstest.Remove:
			script = append(script, quote("rm", s.Path))
		}
	}
	debugfs(t, image, script...)
	repair(image)
}

// quote writes a request of debugfs.
func quote(words ...string) string {
	return words[0] + ` "` + strings.Join(words[1:], `" "`) + `"`
}

// playMounted makes the changes through the kernel.
func playMounted(t *testing.T, image string, steps []fstest.Step) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
		t.Skipf("mounting: %v: %s", err, bytes.TrimSpace(out))
	}
	defer fstest.Program(t, "umount", dir)
	for _, s := range steps {
		if err := change(dir, s); err != nil {
			t.Error(err)
			return
		}
	}
}

// change makes one change below dir.
func change(dir string, s fstest.Step) error {
	p := filepath.Join(dir, s.Path)
	switch {
	case s.Op == fstest.Mkdir:
		return os.Mkdir(p, 0o755)
	case s.Op == fstest.Rename:
		return os.Rename(p, filepath.Join(dir, s.To))
	case s.Op == fstest.Remove:
		return os.Remove(p)
	case len(s.Data) < len(s.Old) && bytes.HasPrefix(s.Old, s.Data):
		return os.Truncate(p, int64(len(s.Data)))
	case s.Old != nil && bytes.HasPrefix(s.Data, s.Old):
		f, err := os.OpenFile(p, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.Write(s.Data[len(s.Old):])
		return err
	}
	return os.WriteFile(p, s.Data, 0o644)
}
