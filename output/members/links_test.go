package members_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/output/members"
)

// TestLinked follows the links that GNU tar stores.
func TestLinked(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.Mkdir(at("a"), 0o755), os.Mkdir(at("b"), 0o755), os.WriteFile(at("a/layer.tar"), []byte("content"), 0o600),
		os.Symlink("../a/layer.tar", at("b/layer.tar")), os.Symlink("b/layer.tar", at("chain")), os.Link(at("a/layer.tar"), at("hard")),
		os.Symlink("/a/layer.tar", at("absolute")), os.Symlink("../../../a/layer.tar", at("out")), os.Symlink("/etc/passwd", at("foreign")),
		os.Symlink("circle2", at("circle1")), os.Symlink("circle1", at("circle2")), os.Symlink(".", at("self")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	disktest.Run(t, disktest.Program(t, "tar", "tar"), "-C", dir, "-cf", at("tar"), "chain", "b", "a", "hard", "absolute", "out", "foreign", "circle1", "circle2", "self")
	p, err := os.ReadFile(at("tar"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := members.Linked(bytes.NewReader(p), int64(len(p)))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, m := range list {
		found[m.Name] = string(p[m.Off:][:m.Size]) == "content"
	}
	for _, name := range []string{"a/layer.tar", "b/layer.tar", "chain", "hard", "absolute", "out"} {
		if !found[name] {
			t.Errorf("%s is not found, or is another file", name)
		}
	}
	if len(found) != 6 {
		t.Errorf("found %v", found)
	}
	if plain, err := members.Index(bytes.NewReader(p), int64(len(p))); err != nil || len(plain) != 1 {
		t.Errorf("without links: %v, %v", plain, err)
	}
}
