package iso9660_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/sanitize/fstest"
	"github.com/imgbuild/imgbuild/sanitize/iso9660"
)

// TestContract takes images of both makers. genisoimage pads a volume with
// sectors that nothing leads to.
func TestContract(t *testing.T) {
	fstest.Need(t, "genisoimage", "genisoimage")
	fstest.Need(t, "xorriso", "xorriso")
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "deep/er"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]int{"empty": 0, "small": 5, "deep/a-long-name-of-a-file.text": 70_000, "deep/er/b": 2048} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(strings.Repeat(name, n/len(name)+1)[:n]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, argv := range map[string][]string{
		"plain":      {"genisoimage", "-quiet", "-no-pad", "-o"},
		"Rock Ridge": {"genisoimage", "-quiet", "-R", "-o"},
		"Joliet":     {"genisoimage", "-quiet", "-J", "-R", "-b", "small", "-no-emul-boot", "-o"},
		"xorriso":    {"xorriso", "-as", "mkisofs", "-quiet", "-J", "-R", "-o"},
	} {
		t.Run(name, func(t *testing.T) {
			fstest.Suite{
				Driver: iso9660.Driver{},
				Make: func(t *testing.T, path string) {
					fstest.Program(t, argv[0], append(append(argv[1:len(argv):len(argv)], path), root)...)
					info, err := os.Stat(path)
					if err != nil {
						t.Fatal(err)
					}
					if err := os.Truncate(path, info.Size()+100_000); err != nil {
						t.Fatal(err)
					}
				},
				Check: func(t *testing.T, path string) {
					if name == "plain" {
						return // its names are short
					}
					dir := filepath.Join(t.TempDir(), "out")
					fstest.Program(t, "xorriso", "-osirrox", "on", "-report_about", "FAILURE", "-indev", path, "-extract", "/", dir)
					fstest.Program(t, "chmod", "-R", "u+w", dir)
					got := fstest.Files(t, dir)
					delete(got, "/boot.catalog")
					if diff := cmp.Diff(fstest.Files(t, root), got); diff != "" {
						t.Errorf("xorriso reads (-want +got):\n%s", diff)
					}
				},
				Unknown: true,
			}.Run(t)
		})
	}
}
