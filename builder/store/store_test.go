package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/builder/store"
	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
)

var (
	_ builder.Store = (*store.Store)(nil)
	_ disk.Reader   = (*store.Blob)(nil)
)

func TestMain(m *testing.M) {
	store.RouteLogs(hclog.NewNullLogger())
	os.Exit(m.Run())
}

func open(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(dir, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t *testing.T, s builder.Store, mediaType string, p []byte) ocispec.Descriptor {
	t.Helper()
	w, err := s.Create(t.Context(), mediaType)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.Write(p); err != nil {
		t.Fatal(err)
	}
	desc, err := w.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return desc
}

func get(t *testing.T, s *store.Store, desc ocispec.Descriptor) []byte {
	t.Helper()
	p, err := s.ReadAll(t.Context(), desc, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// files lists the regular files below a folder of the store.
func files(t *testing.T, s *store.Store, sub ...string) []string {
	t.Helper()
	var found []string
	root := filepath.Join(append([]string{s.Dir()}, sub...)...)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return found
}

func TestClose(t *testing.T) {
	s := open(t, t.TempDir())
	w, err := s.Create(t.Context(), "text/plain")
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, "half")
	if _, _, err := s.Scratch("stage/with odd:name"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"sessions", "content", "locks"} {
		if left := files(t, s, sub); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func TestIngest(t *testing.T) {
	s := open(t, t.TempDir())
	text := "an input"
	good := digest.FromString(text)
	write := func(text string) func(io.Writer) error {
		return func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		}
	}
	for _, test := range []struct {
		name string
		size int64
		fill func(io.Writer) error
		kind fault.Kind
	}{
		{"other bytes", -1, write("other bytes"), fault.Input},
		{"too long", 8, write("an input that goes on"), fault.Input},
		{"too short", 8, write("an"), fault.Input},
		{"error", 8, func(io.Writer) error { return errors.New("connection lost") }, fault.Stage},
	} {
		_, err := s.Ingest(t.Context(), good, test.size, "text/plain", test.fill)
		if err == nil || fault.KindOf(err) != test.kind {
			t.Errorf("%s: error %v", test.name, err)
		}
		if left := files(t, s, "content"); len(left) > 0 {
			t.Errorf("%s: left behind: %v", test.name, left)
		}
	}
	for range 2 {
		desc, err := s.Ingest(t.Context(), good, 8, "text/plain", write(text))
		if err != nil {
			t.Fatal(err)
		}
		if string(get(t, s, desc)) != text {
			t.Error("the bytes differ")
		}
	}
	never := func(io.Writer) error { return errors.New("asked for what is there") }
	if _, err := s.Ingest(t.Context(), good, -1, "text/plain", never); err != nil {
		t.Error(err)
	}
	sha512 := digest.SHA512.FromString(text)
	if desc, err := s.Ingest(t.Context(), sha512, -1, "text/plain", write(text)); err != nil || desc.Digest != sha512 {
		t.Errorf("sha512: %v %v", desc, err)
	}
}

func TestResults(t *testing.T) {
	s := open(t, t.TempDir())
	ctx := t.Context()
	key := digest.FromString("key")
	if out, ok, err := s.Lookup(ctx, key); out != nil || ok || err != nil {
		t.Fatalf("an empty store knows %v %v %v", out, ok, err)
	}
	layer := put(t, s, ocispec.MediaTypeImageLayer, tarOf(t, "a", "a"))
	config := put(t, s, ocispec.MediaTypeImageConfig, []byte("{}"))
	b, err := json.Marshal(ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: config, Layers: []ocispec.Descriptor{layer}})
	if err != nil {
		t.Fatal(err)
	}
	want := builder.Outputs{"image": put(t, s, ocispec.MediaTypeImageManifest, b)}
	if err := s.Record(ctx, key, want, store.Meta{Stage: "tree", Kind: "tree"}); err != nil {
		t.Fatal(err)
	}
	got, ok, err := s.Lookup(ctx, key)
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
	// A layer that only the manifest refers to is missed, too.
	if err := s.Content().Delete(ctx, layer.Digest); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := s.Lookup(ctx, key); got == nil || ok || err != nil {
		t.Errorf("with a missing layer: %v %v %v", got, ok, err)
	}
	if err := s.Record(ctx, key, want, store.Meta{}); err == nil {
		t.Error("recorded outputs that are not there")
	}
	// A torn record is none.
	path := filepath.Join(s.Dir(), "results", key.Encoded())
	for _, torn := range []string{"", "{", `{"key":"sha256:` + strings.Repeat("0", 64) + `"}`} {
		if err := os.WriteFile(path, []byte(torn), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := s.Lookup(ctx, key); got != nil || ok || err != nil {
			t.Errorf("torn record %q: %v %v %v", torn, got, ok, err)
		}
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	unlock, err := a.Lock(t.Context(), "kernel", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := b.Lock(ctx, "kernel", cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	other, err := b.Lock(t.Context(), "tree", func() { t.Error("waited for another lock") })
	if err != nil {
		t.Fatal(err)
	}
	other()
	waited := make(chan struct{})
	done := make(chan error)
	go func() {
		unlock, err := b.Lock(context.Background(), "kernel", func() { close(waited) })
		if err == nil {
			unlock()
		}
		done <- err
	}()
	<-waited
	unlock()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if left := files(t, a, "locks"); len(left) > 0 {
		t.Errorf("lock files are left: %v", left)
	}
	// Locked and unlocked by many at once, one at a time holds it.
	var (
		wg    sync.WaitGroup
		alone sync.Mutex
	)
	for i := range 20 {
		wg.Go(func() {
			unlock, err := []*store.Store{a, b}[i%2].Lock(context.Background(), "many", nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			if !alone.TryLock() {
				t.Error("two hold the lock")
				return
			}
			alone.Unlock()
		})
	}
	wg.Wait()
}

func TestDefaultDir(t *testing.T) {
	t.Setenv(store.DirEnv, "/elsewhere")
	if dir, err := store.DefaultDir(); dir != "/elsewhere" || err != nil {
		t.Errorf("%s %v", dir, err)
	}
	t.Setenv(store.DirEnv, "")
	t.Setenv("XDG_CACHE_HOME", "/home/me/.cache")
	if dir, err := store.DefaultDir(); dir != "/home/me/.cache/imgbuild" || err != nil {
		t.Errorf("%s %v", dir, err)
	}
}

func TestContentIsOfTheSession(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	text := []byte("pulled")
	desc := ocispec.Descriptor{Digest: digest.FromBytes(text), Size: int64(len(text))}
	for i, s := range []*store.Store{a, b} {
		w, err := s.Content().Writer(t.Context(), withRef("layer"))
		if err != nil {
			t.Fatalf("store %d: %v", i, err)
		}
		defer w.Close()
		if st, err := s.Content().Status(t.Context(), "layer"); err != nil || st.Offset != 0 {
			t.Errorf("store %d: status %+v %v", i, st, err)
		}
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(t.Context(), desc.Size, desc.Digest); err != nil && !errdefs.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
	if got := get(t, a, desc); string(got) != "pulled" {
		t.Errorf("got %q", got)
	}
}
