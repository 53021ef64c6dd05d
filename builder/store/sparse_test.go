package store_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/builder/store"
	"github.com/imgbuild/imgbuild/disk"
)

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
