package push

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/imgbuild/imgbuild/fault"
)

func TestSplit(t *testing.T) {
	dir := t.TempDir()
	colon := filepath.Join(dir, "a:b")
	if err := os.Mkdir(colon, 0o755); err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string][2]string{
		dir: {dir, ""}, dir + ":1.0": {dir, "1.0"}, colon: {colon, ""}, colon + ":c": {colon, "c"}, "/nowhere": {"/nowhere", ""},
	} {
		if path, tag := split(ref); path != want[0] || tag != want[1] {
			t.Errorf("%s: %q, %q", ref, path, tag)
		}
	}
}

// TestHostile opens layouts that were made to harm.
func TestHostile(t *testing.T) {
	for name, c := range map[string]struct {
		harm    func(dir string) error
		message string // empty when it is no layout at all
	}{
		"no list":        {func(string) error { return nil }, ""},
		"a list of junk": {func(dir string) error { return os.WriteFile(dir+"/index.json", []byte("junk"), 0o644) }, "parsing index.json"},
		"an empty list":  {func(dir string) error { return os.WriteFile(dir+"/index.json", []byte("{}"), 0o644) }, "lists 0 images"},
		"a large list":   {func(dir string) error { return os.WriteFile(dir+"/index.json", make([]byte, 5<<20), 0o644) }, "more than"},
		"a pipe":         {func(dir string) error { return syscall.Mkfifo(dir+"/index.json", 0o644) }, "not a regular file"},
		"a folder":       {func(dir string) error { return os.Mkdir(dir+"/index.json", 0o755) }, "not a regular file"},
		"saved, and leads out": {func(dir string) error {
			return os.WriteFile(dir+"/manifest.json", []byte(`[{"Config":"../../../../etc/passwd","Layers":[]}]`), 0o644)
		}, "path escapes"},
		"saved, and nothing": {func(dir string) error { return os.WriteFile(dir+"/manifest.json", []byte(`[]`), 0o644) }, "lists 0 images"},
		"saved, too many layers": {func(dir string) error {
			return os.WriteFile(dir+"/manifest.json", []byte(`[{"Layers":["x"`+strings.Repeat(`,"x"`, 1024)+`]}]`), 0o644)
		}, "1025 layers"},
	} {
		dir := t.TempDir()
		if err := c.harm(dir); err != nil {
			t.Fatal(err)
		}
		l, err := openImages(t.Context(), dir)
		if l != nil || (err == nil) != (c.message == "") {
			t.Errorf("%s: %v, %v", name, l, err)
		}
		if err != nil && (fault.KindOf(err) != fault.Input || !strings.Contains(err.Error(), c.message)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
