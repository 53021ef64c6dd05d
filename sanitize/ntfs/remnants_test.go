package ntfs_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
	"github.com/imgbuild/imgbuild/sanitize/ntfs"
)

// remnants returns the deleted names of the image at path, each of which must
// stand where it is said to.
func remnants(t *testing.T, path string) map[string]bool {
	t.Helper()
	d, err := disk.OpenFile(path)
	must(t, err)
	defer d.Close()
	fsys, err := ntfs.Driver{}.Open(context.Background(), d)
	must(t, err)
	names := map[string]bool{}
	must(t, fsys.(sanitize.Rememberer).Remnants(context.Background(), func(r sanitize.Remnant) error {
		var first [2]byte
		must(t, sanitize.ReadFull(d, first[:], r.Off))
		if first != [2]byte{r.Name[0]} {
			t.Errorf("%q is not at byte %d", r.Name, r.Off)
		}
		names[r.Name] = true
		return nil
	}))
	return names
}

// TestRemnants tells the names of deleted files, no live ones, and none after
// a scrub.
func TestRemnants(t *testing.T) {
	need(t)
	for _, args := range []string{"", "-c 512"} {
		path := filepath.Join(t.TempDir(), "volume.img")
		makeVolume(t, path, 24, args)
		mounted(t, path, "", func(dir string) {
			for _, name := range []string{"What the third meeting said.docx", "gone.txt", "stays.txt"} {
				write(t, filepath.Join(dir, name), []byte("x"))
			}
			must(t, os.Remove(filepath.Join(dir, "What the third meeting said.docx")))
			must(t, os.Remove(filepath.Join(dir, "gone.txt")))
		})
		names := remnants(t, path)
		if !names["What the third meeting said.docx"] || !names["gone.txt"] || names["stays.txt"] {
			t.Errorf("mkntfs %s: the names are %v", args, names)
		}
		fstest.Scrub(t, ntfs.Driver{}, path)
		if names := remnants(t, path); len(names) > 0 {
			t.Errorf("mkntfs %s: after a scrub: %v", args, names)
		}
	}
}
