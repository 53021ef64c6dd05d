package members_test

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/output/members"
)

func archive(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range files {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(name)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, name); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestIndex(t *testing.T) {
	long := strings.Repeat("long/", 60) + "name"
	p := archive(t, "a.ovf", "./b", "dir/c", long)
	list, err := members.Index(bytes.NewReader(p), int64(len(p)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range list {
		names = append(names, m.Name)
		if content := string(p[m.Off:][:m.Size]); strings.TrimPrefix(content, "./") != m.Name {
			t.Errorf("%s holds %q", m.Name, content)
		}
	}
	if diff := cmp.Diff([]string{"a.ovf", "b", "dir/c", long}, names); diff != "" {
		t.Error(diff)
	}
	if !members.Is(bytes.NewReader(p)) || members.Is(strings.NewReader("short")) {
		t.Error("an archive is not told from something else")
	}
}

// TestGNU reads what GNU tar makes in all its formats, and refuses pieces.
func TestGNU(t *testing.T) {
	program := disktest.Program(t, "tar", "tar")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("end"), 1<<20); err != nil {
		t.Fatal(err)
	}
	f.Close()
	index := func(args ...string) ([]members.Member, []byte, error) {
		disktest.Run(t, program, append([]string{"-C", dir, "-cf", filepath.Join(dir, "tar")}, args...)...)
		p, err := os.ReadFile(filepath.Join(dir, "tar"))
		if err != nil {
			t.Fatal(err)
		}
		list, err := members.Index(bytes.NewReader(p), int64(len(p)))
		return list, p, err
	}
	for _, format := range []string{"gnu", "oldgnu", "pax", "posix", "ustar", "v7"} {
		list, p, err := index("--format="+format, "file")
		if err != nil || len(list) != 1 || string(p[list[0].Off:][:list[0].Size]) != "content" {
			t.Errorf("%s: %v, %v", format, list, err)
		}
	}
	for _, format := range []string{"gnu", "pax"} {
		if list, _, err := index("--format="+format, "--sparse", "sparse"); err == nil || !strings.Contains(err.Error(), "sparse") {
			t.Errorf("%s: %v, %v", format, list, err)
		}
	}
}

func TestCut(t *testing.T) {
	p := archive(t, "a", "b")
	for _, n := range []int{100, 512, 513, 1024 + 100} {
		if list, err := members.Index(bytes.NewReader(p[:n]), int64(n)); err == nil && len(list) == 2 {
			t.Errorf("cut at %d: %v", n, list)
		}
	}
}

func FuzzIndex(f *testing.F) {
	f.Add(archive(f, "a.ovf", "b"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, p []byte) {
		list, err := members.Linked(bytes.NewReader(p), int64(len(p)))
		if err != nil {
			return
		}
		for _, m := range list {
			if m.Off < 0 || m.Size < 0 || m.Off+m.Size > int64(len(p)) || strings.HasPrefix(m.Name, "..") && (len(m.Name) == 2 || m.Name[2] == '/') {
				t.Fatalf("%+v in %d bytes", m, len(p))
			}
		}
	})
}
