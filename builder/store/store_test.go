package store_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	"github.com/hashicorp/go-hclog"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

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

// TestSparse writes a disk with holes and reads where they are.
func TestSparse(t *testing.T) {
	const size = 48 << 20
	path := filepath.Join(t.TempDir(), "disk")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, off := range []int64{1 << 20, 40<<20 + 12345} {
		if _, err := f.WriteAt(bytes.Repeat([]byte("data"), 5000), off); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, t.TempDir())
	byFile, err := s.PutFile(t.Context(), path, "application/octet-stream")
	if err != nil {
		t.Fatal(err)
	}
	if byFile.Digest != digest.FromBytes(want) {
		t.Error("the stored disk differs")
	}
	checkSparse(t, s, byFile)

	byBytes := put(t, open(t, t.TempDir()), "application/octet-stream", want)
	if diff := cmp.Diff(byFile, byBytes); diff != "" {
		t.Errorf("by file and by bytes differ:\n%s", diff)
	}
	// Small and odd writes, of which each may end in the middle of a run.
	odd := open(t, t.TempDir())
	w, err := odd.Create(t.Context(), "application/octet-stream")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for p := want; len(p) > 0; {
		n := min(len(p), 70001)
		if _, err := w.Write(p[:n]); err != nil {
			t.Fatal(err)
		}
		p = p[n:]
	}
	desc, err := w.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(get(t, odd, desc), want) {
		t.Error("the disk written in odd pieces differs")
	}
	checkSparse(t, odd, desc)
}

func checkSparse(t *testing.T, s *store.Store, desc ocispec.Descriptor) {
	t.Helper()
	blob, err := s.Open(t.Context(), desc)
	if err != nil {
		t.Fatal(err)
	}
	defer blob.Close()
	r := blob.(disk.Reader)
	var data, runs int64
	for off := int64(0); ; runs++ {
		e, err := r.NextData(off)
		if err == io.EOF {
			break
		}
		if err != nil || e.Off < off || e.Len <= 0 {
			t.Fatalf("data at %d: %+v %v", off, e, err)
		}
		data += e.Len
		off = e.End()
	}
	if runs == 1 && data == r.Size() {
		t.Skip("the file system does not tell holes")
	}
	if runs != 2 || data > 1<<20 {
		t.Errorf("%d runs of data with %d bytes", runs, data)
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

// TestFull fills a small file system: the error tells so, and nothing is
// recorded.
func TestFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("mounting a small tmpfs needs root: %v", err)
	}
	// Detached, because something that looks through /tmp may just be there.
	defer unix.Unmount(dir, unix.MNT_DETACH)
	s, err := store.Open(dir, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	check := func(what string, err error) {
		t.Helper()
		if fault.KindOf(err) != fault.Environment || !errors.Is(err, unix.ENOSPC) || len(fault.HintsOf(err)) == 0 {
			t.Errorf("%s: error %v, kind %v, hints %q", what, err, fault.KindOf(err), fault.HintsOf(err))
		}
	}
	noise := make([]byte, 3<<20)
	for i := range noise {
		noise[i] = byte(i*i>>8) | 1
	}
	w, err := s.Create(t.Context(), "application/octet-stream")
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Write(noise)
	check("writing", err)
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if left := files(t, s, "content"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	layer := put(t, s, ocispec.MediaTypeImageLayer, gz(t, tarOf(t, "big", string(noise))))
	_, err = s.Tree(t.Context(), layer)
	check("unpacking", err)
	if left := files(t, s, "trees"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	out := builder.Outputs{"layer": layer}
	filler, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	for err == nil {
		_, err = filler.Write(noise[:4096])
	}
	key := digest.FromString("key")
	check("recording", s.Record(t.Context(), key, out, store.Meta{Title: strings.Repeat("long ", 2000)}))
	if _, ok, err := s.Lookup(t.Context(), key); ok || err != nil {
		t.Errorf("recorded: %v %v", ok, err)
	}
	if err := os.Remove(filler.Name()); err != nil {
		t.Fatal(err)
	}
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
		t.Error(fmt.Sprintf("got %q", got))
	}
}
