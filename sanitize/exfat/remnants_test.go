package exfat_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/exfat"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

// remnants returns the deleted names of the image at path with their places.
func remnants(t *testing.T, path string) map[string]sanitize.Remnant {
	t.Helper()
	d, err := disk.OpenFile(path)
	must(t, err)
	defer d.Close()
	fsys, err := exfat.Driver{}.Open(context.Background(), d)
	must(t, err)
	names := map[string]sanitize.Remnant{}
	must(t, fsys.(sanitize.Rememberer).Remnants(context.Background(), func(r sanitize.Remnant) error {
		names[r.Name] = r
		return nil
	}))
	return names
}

// TestRemnants tells the names of deleted files, no live ones, and none after
// a scrub.
func TestRemnants(t *testing.T) {
	need(t)
	path := filepath.Join(t.TempDir(), "volume.img")
	makeVolume(t, path, variants[0].mib, variants[0].args)
	fill(t, path)
	names := remnants(t, path)
	const one = "SECRET with a name of two entries 040"
	if r := names[one]; r.Where != "directory /large directory" {
		t.Errorf("%s is %+v among %v", one, r, names)
	}
	for name := range names {
		if strings.HasPrefix(name, "LIVE") {
			t.Errorf("a live name is told: %s", name)
		}
	}
	fstest.Scrub(t, exfat.Driver{}, path)
	if names := remnants(t, path); len(names) > 0 {
		t.Errorf("after a scrub: %v", names)
	}
}
