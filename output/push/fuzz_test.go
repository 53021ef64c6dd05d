package push

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/output/outputtest"
)

// FuzzImage opens archives as images, walks through them and reads all that it
// found. Its seeds are archives of containerd and of skopeo.
func FuzzImage(f *testing.F) {
	path := filepath.Join(f.TempDir(), "hello.oci.tar")
	if err := outputtest.Tree(f).Export(f.Context(), path, "docker.io/library/hello:1.0.0"); err != nil {
		f.Fatal(err)
	}
	seeds, err := filepath.Glob("testdata/*.tar")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("the seeds: %q, %v", seeds, err)
	}
	for _, seed := range append(seeds, path) {
		p, err := os.ReadFile(seed)
		if err != nil {
			f.Fatal(err)
		}
		if !readImage(f, p) {
			f.Fatalf("%s is no image", seed)
		}
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p []byte) { readImage(t, p) })
}

// readImage reports whether an archive is a complete image.
func readImage(t testing.TB, p []byte) bool {
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(path, p, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	b, err := Options{Paths: []string{path}, Annotations: map[string]string{"a": "b"}}.open(ctx)
	if err != nil {
		return false
	}
	defer b.Close()
	for _, d := range append(b.blobs, b.documents...) {
		r, err := b.ReaderAt(ctx, d)
		if err != nil {
			t.Errorf("%s was found, but: %v", d.Digest, err)
			continue
		}
		if n, err := io.Copy(io.Discard, io.NewSectionReader(r, 0, r.Size())); err != nil || n != d.Size {
			t.Errorf("%s: %d bytes of %d, %v", d.Digest, n, d.Size, err)
		}
		r.Close()
	}
	return true
}
