package outputtest

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/output"
)

func openDir(t *testing.T, path string) *output.Dir {
	t.Helper()
	d, err := output.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// checkFiles holds the list of files to what is in the folder.
func checkFiles(t *testing.T, m Made) {
	t.Helper()
	if diff := cmp.Diff(names(m.Files), list(t, m.Dir.Path(""))); diff != "" {
		t.Errorf("the list of files is not the folder:\n%s", diff)
	}
	for _, f := range m.Files {
		file, err := os.Open(m.Dir.Path(f.Path))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() != f.Size || info.Mode().Perm()&0o600 != 0o600 {
			t.Errorf("%s: %d bytes, mode %v; said to be %d bytes", f.Path, info.Size(), info.Mode(), f.Size)
		}
		if f.Size < large { // hashing the holes of a larger one takes too long
			h := sha256.New()
			if _, err := io.Copy(h, file); err != nil {
				t.Fatal(err)
			}
			if sum := hex.EncodeToString(h.Sum(nil)); sum != f.SHA256 {
				t.Errorf("%s: its digest is %s, said to be %s", f.Path, sum, f.SHA256)
			}
		}
		// What is allocated is a matter of the file system, which may need a
		// little for its own tables.
		if f.Allocated < 0 || f.Allocated > f.Size+64<<10 {
			t.Errorf("%s: %d bytes are allocated for %d", f.Path, f.Allocated, f.Size)
		}
	}
}

// ignoreAllocated is for comparing the files of two runs: a file system may
// give the same bytes more or less room.
var ignoreAllocated = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Allocated" }, cmp.Ignore())

func names(files []output.File) []string {
	out := []string{}
	for _, f := range files {
		out = append(out, f.Path)
	}
	slices.Sort(out)
	return out
}

// list returns the names in a folder, those of unfinished files too.
func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func checkEmpty(t *testing.T, dir string) {
	t.Helper()
	if left := list(t, dir); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}
