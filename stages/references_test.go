package stages

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// jarOf packs entries, in the order of their names.
func jarOf(t *testing.T, entries map[string]string) string {
	t.Helper()
	var names []string
	for name := range entries {
		names = append(names, name)
	}
	slices.Sort(names)
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range names {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(entries[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestMerge reads a jar as Spring Boot packs it: classes have the names that the
// launcher gives them, and those of nested jars are apart.
func TestMerge(t *testing.T) {
	dir := t.TempDir()
	library := jarOf(t, map[string]string{"lib/Lib.class": "l", "META-INF/versions/9/lib/Lib.class": "l9", "META-INF/versions/99/lib/New.class": "n"})
	fat := jarOf(t, map[string]string{
		"boot/Launcher.class": "b", "BOOT-INF/classes/app/App.class": "a", "BOOT-INF/classes/module-info.class": "m",
		"BOOT-INF/lib/lib.jar": library, "BOOT-INF/lib/again.jar": library, "BOOT-INF/lib/broken.jar": "no jar", "app.properties": "x",
	})
	if err := os.WriteFile(filepath.Join(dir, "fat.jar"), []byte(fat), 0o644); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, test := range []struct {
		read func(*merger, *zip.Reader) error
		want map[string]string
	}{
		{(*merger).classes, map[string]string{"boot/Launcher.class": "b", "app/App.class": "a"}},
		{(*merger).nested, map[string]string{"lib/Lib.class": "l9"}},
	} {
		var out bytes.Buffer
		if err := merge(root, []string{"/fat.jar"}, 17, &out, test.read); err != nil {
			t.Fatal(err)
		}
		z, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, f := range z.File {
			b, err := readEntry(f, 10)
			if err != nil {
				t.Fatal(err)
			}
			got[f.Name] = string(b)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("classes (-want +got):\n%s", diff)
		}
	}
}
