package store_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/builder"
)

// contract checks what every builder.Store promises.
func contract(t *testing.T, s builder.Store) {
	ctx := t.Context()
	t.Run("round trip", func(t *testing.T) {
		for _, text := range []string{"", "x", strings.Repeat("round trip ", 100_000)} {
			desc := put(t, s, "text/plain", []byte(text))
			want := ocispec.Descriptor{MediaType: "text/plain", Digest: digest.FromString(text), Size: int64(len(text))}
			if diff := cmp.Diff(want, desc); diff != "" {
				t.Errorf("descriptor (-want +got):\n%s", diff)
			}
			b, err := s.Open(ctx, desc)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			got, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
			if err != nil || string(got) != text {
				t.Errorf("read %d bytes of %d: %v", len(got), len(text), err)
			}
		}
	})
	t.Run("twice", func(t *testing.T) {
		a, b := put(t, s, "text/plain", []byte("twice")), put(t, s, "text/html", []byte("twice"))
		if a.Digest != b.Digest || b.MediaType != "text/html" {
			t.Errorf("%v and %v", a, b)
		}
	})
	t.Run("dropped", func(t *testing.T) {
		w, err := s.Create(ctx, "text/plain")
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, "never committed")
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if _, err := w.Commit(ctx); err == nil {
			t.Error("committed after close")
		}
		_, err = s.Open(ctx, ocispec.Descriptor{Digest: digest.FromString("never committed"), Size: 15})
		if !errdefs.IsNotFound(err) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("hostile descriptors", func(t *testing.T) {
		desc := put(t, s, "text/plain", []byte("here"))
		wrongSize := desc
		wrongSize.Size++
		for _, bad := range []ocispec.Descriptor{wrongSize, {}, {Digest: "sha256:../../../etc/passwd"}, {Digest: "sha256"}} {
			if b, err := s.Open(ctx, bad); err == nil {
				b.Close()
				t.Errorf("opened %+v", bad)
			}
		}
	})
	t.Run("at once", func(t *testing.T) {
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				w, err := s.Create(ctx, "text/plain")
				if err != nil {
					t.Error(err)
					return
				}
				defer w.Close()
				for range 100 {
					io.WriteString(w, "the same thing ")
				}
				if _, err := w.Commit(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
	t.Run("tree", func(t *testing.T) {
		lower := put(t, s, ocispec.MediaTypeImageLayer, tarOf(t, "d/", "", "d/a", "lower", "d/b", "lower"))
		upper := put(t, s, ocispec.MediaTypeImageLayer, tarOf(t, "d/a", "upper", "d/.wh.b", ""))
		var dirs [4]string
		var wg sync.WaitGroup
		for i := range dirs {
			wg.Go(func() {
				var err error
				if dirs[i], err = s.Tree(ctx, lower, upper); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if dirs[0] != dirs[1] || dirs[0] != dirs[3] {
			t.Errorf("several trees: %v", dirs)
		}
		if got, err := os.ReadFile(filepath.Join(dirs[0], "d/a")); err != nil || string(got) != "upper" {
			t.Errorf("d/a: %q %v", got, err)
		}
		if _, err := os.Stat(filepath.Join(dirs[0], "d/b")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("d/b: %v", err)
		}
		if _, err := s.Tree(ctx, put(t, s, "text/plain", []byte("no tar"))); err == nil {
			t.Error("unpacked text")
		}
	})
}

// tarOf makes a tar of names and contents; names that end in a slash are
// folders.
func tarOf(t *testing.T, pairs ...string) []byte {
	t.Helper()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for i := 0; i < len(pairs); i += 2 {
		hdr := &tar.Header{Name: pairs[i], Mode: 0o644, Size: int64(len(pairs[i+1])), ModTime: time.Unix(1e9, 0)}
		if strings.HasSuffix(hdr.Name, "/") {
			hdr.Typeflag, hdr.Mode = tar.TypeDir, 0o755
		}
		if err := tw.WriteHeader(hdr); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(tw, pairs[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestContract(t *testing.T) { contract(t, open(t, t.TempDir())) }
