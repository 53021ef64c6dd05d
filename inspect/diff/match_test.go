package diff

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/inspect"
	"github.com/imgbuild/imgbuild/sanitize"
)

// TestComparePaths sorts paths as the walk of a folder meets them.
func TestComparePaths(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"a", "a b", "a.b", "a-/x/y", "a/b/c", "a/b.c", "ab", "b", "ä/ö", "a\xff"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var walked []string
	err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if path != root {
			walked = append(walked, strings.TrimPrefix(path, root))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	sorted := slices.Clone(walked)
	slices.Reverse(sorted)
	slices.SortFunc(sorted, comparePaths)
	if !slices.Equal(walked, sorted) {
		t.Errorf("walked %q, sorted %q", walked, sorted)
	}
	if comparePaths("/", "/a") >= 0 || comparePaths("/a", "/a") != 0 {
		t.Error("the root is not first, or a path differs from itself")
	}
}

// TestMatch pairs partitions.
func TestMatch(t *testing.T) {
	volume := func(index int, guid, kind, name string, off int64) inspect.Volume {
		return inspect.Volume{Index: index, GUID: guid, Type: kind, Name: name, Offset: off}
	}
	a := []inspect.Volume{
		volume(1, "one", "esp", "boot", 1), volume(2, "two", "linux", "root", 2), volume(3, "three", "linux", "data", 3),
		volume(4, "four", "swap", "", 4), volume(5, "five", "linux", "", 5), volume(6, "six", "msdos", "", 6),
	}
	b := []inspect.Volume{
		volume(1, "two", "linux", "renamed", 7), volume(2, "new", "linux", "data", 8), volume(3, "one", "efi", "other", 9),
		volume(4, "x", "swap", "", 4), volume(5, "y", "linux", "", 10), volume(6, "z", "other", "", 6),
	}
	want := map[int]int{1: 2, 2: 3, 3: 1, 4: 4, 5: 5, 6: 0} // of b to a
	pairs := match(a, b)
	if len(pairs) != 7 || pairs[6][1] != nil || pairs[6][0].Index != 6 {
		t.Fatalf("%d pairs, the last %v", len(pairs), pairs[len(pairs)-1])
	}
	for _, p := range pairs[:6] {
		first := 0
		if p[0] != nil {
			first = p[0].Index
		}
		if first != want[p[1].Index] {
			t.Errorf("partition %d is paired with %d, not with %d", p[1].Index, first, want[p[1].Index])
		}
	}
}

// FuzzPackages reads what may be a database of packages.
func FuzzPackages(f *testing.F) {
	f.Add("Package: a\nStatus: install ok installed\nVersion: 1\n\nPackage: b\nVersion: 2\n")
	f.Add("P:musl\nV:1.2.3-r4\nA:x86_64\n\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		file := sanitize.File{Size: int64(len(text)), Open: func() (sanitize.Content, error) { return strings.NewReader(text), nil }}
		installed := map[string]string{}
		if err := read(file, installed); err != nil {
			return
		}
		if len(installed) > strings.Count(text, "\n")+1 {
			t.Errorf("%d packages in %q", len(installed), text)
		}
	})
}
