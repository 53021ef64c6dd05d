package unpack_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/builder/store/unpack"
)

var stamp = time.Unix(1_000_000_000, 999)

// The constructors of tar entries.
func dir(name string) *entry {
	return &entry{Header: tar.Header{Name: name, Typeflag: tar.TypeDir, Mode: 0o755}}
}
func file(name, text string) *entry {
	return &entry{tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text))}, text}
}
func symlink(name, target string) *entry {
	return &entry{Header: tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777}}
}
func hardlink(name, target string) *entry {
	return &entry{Header: tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target, Mode: 0o644}}
}

type entry struct {
	tar.Header
	text string
}

func (e *entry) mode(m int64) *entry { e.Mode = m; return e }

func layer(t testing.TB, entries ...*entry) []byte {
	t.Helper()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for _, e := range entries {
		e.ModTime = stamp
		if err := tw.WriteHeader(&e.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(tw, e.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// deb wraps files as a Debian package would.
func deb(suffix string, data []byte) []byte {
	var buf bytes.Buffer
	buf.WriteString("!<arch>\n")
	for _, m := range []struct {
		name string
		data []byte
	}{{"debian-binary", []byte("2.0\n")}, {"control.tar", []byte("odd")}, {"data.tar" + suffix, data}} {
		fmt.Fprintf(&buf, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", m.name, 0, 0, 0, "100644", len(m.data))
		buf.Write(m.data)
		if len(m.data)%2 == 1 {
			buf.WriteByte('\n')
		}
	}
	return buf.Bytes()
}

// folder is a temporary folder. Folders without permission would be in the way
// of its removal.
func folder(t testing.TB) string {
	dir := t.TempDir()
	t.Cleanup(func() {
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, _ error) error {
			if d != nil && d.IsDir() {
				return os.Chmod(path, 0o700)
			}
			return nil
		})
	})
	return dir
}

type input struct {
	mediaType string
	data      []byte
}

func oci(t testing.TB, entries ...*entry) input {
	return input{ocispec.MediaTypeImageLayer, layer(t, entries...)}
}

func pkg(t testing.TB, entries ...*entry) input {
	return input{unpack.Deb, deb("", layer(t, entries...))}
}

// apply unpacks layers into a folder.
func apply(t testing.TB, root string, limits unpack.Limits, layers ...input) error {
	t.Helper()
	w, err := unpack.New(root, limits)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for _, l := range layers {
		if err := w.Layer(t.Context(), l.mediaType, bytes.NewReader(l.data)); err != nil {
			return err
		}
	}
	return w.Finish()
}

// list describes all that is in a folder: path, mode, and content or target.
func list(t testing.TB, root string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		fi, err := d.Info()
		if err != nil {
			return err
		}
		text := fi.Mode().String()
		switch {
		case fi.Mode().IsRegular():
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += " " + string(b)
		case fi.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			text += " " + target
		}
		found[name] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func compress(t testing.TB, suffix string, p []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	var w io.WriteCloser
	switch suffix {
	case "":
		return p
	case ".gz":
		w = gzip.NewWriter(&buf)
	case ".zst":
		var err error
		if w, err = zstd.NewWriter(&buf); err != nil {
			t.Fatal(err)
		}
	default: // by the program that has the suffix as its name
		name := map[string]string{".xz": "xz", ".bz2": "bzip2"}[suffix]
		need(t, name, map[string]string{"xz": "xz-utils", "bzip2": "bzip2"}[name])
		cmd := exec.Command(name, "-c")
		cmd.Stdin = bytes.NewReader(p)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if _, err := w.Write(p); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// need skips a test that cannot run without a program.
func need(t testing.TB, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed; apt-get install %s", name, debian)
	}
	t.Skipf("%s is not installed; apt-get install %s", name, debian)
	return ""
}
