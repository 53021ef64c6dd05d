package layout_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/imgbuild/imgbuild/output/layout"
	"github.com/imgbuild/imgbuild/output/members"
)

var files = map[string]string{"index.json": `{"schemaVersion":2}`, "blobs/sha256/ab": "content"}

// folder writes the files into a folder.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// archived writes them into an archive.
func archived(t *testing.T) *layout.Layout {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: "./" + name, Size: int64(len(text)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r := bytes.NewReader(b.Bytes())
	list, err := members.Index(r, r.Size())
	if err != nil {
		t.Fatal(err)
	}
	return layout.Archive(r, list)
}

func TestOpen(t *testing.T) {
	inFolder, err := layout.Folder(folder(t))
	if err != nil {
		t.Fatal(err)
	}
	for kind, l := range map[string]*layout.Layout{"folder": inFolder, "archive": archived(t)} {
		for name, want := range files {
			r, n, err := l.Open(name)
			if err != nil {
				t.Fatalf("%s: %s: %v", kind, name, err)
			}
			got, err := io.ReadAll(io.NewSectionReader(r, 0, n))
			if string(got) != want || err != nil {
				t.Errorf("%s: %s holds %q, %v", kind, name, got, err)
			}
		}
		var index struct{ SchemaVersion int }
		if err := l.Decode(layout.IndexName, &index); err != nil || index.SchemaVersion != 2 {
			t.Errorf("%s: %+v, %v", kind, index, err)
		}
		if _, _, err := l.Open("missing"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: what is missing: %v", kind, err)
		}
		if err := l.Close(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// TestHostile reads what was made to harm.
func TestHostile(t *testing.T) {
	dir := folder(t)
	for _, err := range []error{
		os.WriteFile(filepath.Join(dir, "junk"), []byte("junk"), 0o644), os.WriteFile(filepath.Join(dir, "large"), make([]byte, 4<<20+1), 0o644),
		os.Symlink("/etc/passwd", filepath.Join(dir, "out")), syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	l, err := layout.Folder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, want := range map[string]string{
		"junk": "parsing junk", "large": "more than", "out": "escapes", "../" + filepath.Base(dir) + "/junk": "escapes", "pipe": "not a regular file",
		"blobs": "not a regular file", "missing": "missing is missing",
	} {
		var v any
		if err := l.Decode(name, &v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBlob(t *testing.T) {
	sum := digest.FromString("")
	if name, err := layout.Blob(sum); err != nil || name != "blobs/sha256/"+sum.Encoded() {
		t.Errorf("%s, %v", name, err)
	}
	for _, d := range []digest.Digest{"", "sha256:../../etc/passwd", "sha256:ab", "md5:d41d8cd98f00b204e9800998ecf8427e"} {
		if name, err := layout.Blob(d); err == nil {
			t.Errorf("%q lies at %s", d, name)
		}
	}
}
