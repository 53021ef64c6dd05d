package stages

import (
	"archive/zip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAlongside follows manifests: in the order of the JVM, through a circle, to
// names with spaces and in other folders, and past what is not there.
func TestAlongside(t *testing.T) {
	dir := t.TempDir()
	for name, classPath := range map[string]string{
		"app.jar":           "lib/one.jar gone.jar no.jar file:///tmp/x.jar /etc/passwd lib/ lib/two%20words.jar %zz",
		"lib/one.jar":       "../other/three.jar",
		"other/three.jar":   "../app.jar ../lib/one.jar",
		"lib/two words.jar": "",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		z := zip.NewWriter(f)
		w, err := z.Create("META-INF/MANIFEST.MF")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("Manifest-Version: 1.0\nClass-Path: " + classPath + "\n")); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "no.jar"), []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, path := range alongside(filepath.Join(dir, "app.jar"), map[string]bool{}) {
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, rel)
	}
	want := []string{"app.jar", "lib/one.jar", "other/three.jar", "no.jar", "lib/two words.jar"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("class path (-want +got):\n%s", diff)
	}
}
