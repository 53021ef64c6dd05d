package fat_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/fat"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// remnants returns the deleted names of the image at path.
func remnants(t *testing.T, path string) map[string]sanitize.Remnant {
	t.Helper()
	d, err := disk.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	fsys, err := fat.Driver{}.Open(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]sanitize.Remnant{}
	err = fsys.(sanitize.Rememberer).Remnants(context.Background(), func(r sanitize.Remnant) error {
		names[r.Name] = r
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestRemnants tells the names of deleted files, and none after a scrub.
func TestRemnants(t *testing.T) {
	need(t)
	for _, v := range []volume{volumes[0], volumes[4]} {
		path := filepath.Join(t.TempDir(), "image")
		fstest.Program(t, "mkfs.fat", append(v.args, "-C", path, v.kib)...)
		fill(t, path)
		source := filepath.Join(t.TempDir(), "source")
		if err := os.WriteFile(source, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		gone := []string{"What the minutes of the third meeting said.docx", "UPPER.TXT"}
		for _, name := range gone {
			fstest.Program(t, "mcopy", "-i", path, source, "::/EFI/"+name)
		}
		for _, name := range gone {
			fstest.Program(t, "mdel", "-i", path, "::/EFI/"+name)
		}
		names := remnants(t, path)
		// The first character of a short name is lost.
		for _, name := range []string{gone[0], "_PPER.TXT"} {
			if r, ok := names[name]; !ok || r.Where != "directory /EFI/" {
				t.Errorf("%s: %s is %+v among %v", v.name, name, r, names)
			}
		}
		if _, lives := names["secret-file-.txt"]; lives {
			t.Errorf("%s: a live name is told", v.name)
		}
		fstest.Scrub(t, fat.Driver{}, path)
		if names := remnants(t, path); len(names) > 0 {
			t.Errorf("%s: after a scrub: %v", v.name, names)
		}
	}
}
