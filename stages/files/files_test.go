package files

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// plant makes files below a temporary folder: "path": "content", or "-> target"
// for a link, or "dir".
func plant(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			err = errors.Join(err, os.Symlink(target, path))
		} else if text == "dir" {
			err = errors.Join(err, os.MkdirAll(path, 0o755))
		} else {
			err = errors.Join(err, os.WriteFile(path, []byte(text), 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

var packages = map[string]string{
	"usr/share/java/x.jar":         "-> x-1.2.jar",
	"usr/share/java/x-1.2.jar":     "x",
	"usr/share/java/y.jar":         "-> /usr/share/y/lib/y.jar",
	"usr/share/y/lib/y.jar":        "y",
	"usr/share/y/lib/deep/a/z.jar": "z",
	"usr/share/gone.jar":           "-> nowhere.jar",
	"usr/share/out.jar":            "-> ../../../../../../etc/passwd",
	"usr/share/loop.jar":           "-> loop.jar",
	"usr/share/alias":              "-> y/lib",
	"lib":                          "-> usr/lib",
	"usr/lib/libc.so":              "c",
}

func TestMatch(t *testing.T) {
	tree := plant(t, packages)
	for _, tt := range []struct {
		pattern string
		want    []string
		err     string
	}{
		{pattern: "/usr/share/java/x.jar", want: []string{"/usr/share/java/x.jar", "/usr/share/java/x-1.2.jar"}},
		{pattern: "/usr/share/java/y.jar", want: []string{"/usr/share/java/y.jar", "/usr/share/y/lib/y.jar"}},
		{pattern: "/usr/share/java/x-*.jar", want: []string{"/usr/share/java/x-1.2.jar"}},
		{pattern: "/usr/share/y/**/*.jar", want: []string{"/usr/share/y/lib/y.jar", "/usr/share/y/lib/deep/a/z.jar"}},
		{pattern: "/usr/share/y/lib/deep", want: []string{"/usr/share/y/lib/deep", "/usr/share/y/lib/deep/a", "/usr/share/y/lib/deep/a/z.jar"}},
		{pattern: "/usr/share/alias/y.jar", want: []string{"/usr/share/alias/y.jar"}},
		{pattern: "/lib/*.so", want: []string{"/lib/libc.so"}},
		{pattern: "/usr/none/*"},
		{pattern: "/../../etc/passwd"},
		{pattern: "/usr/share/gone.jar", err: "which is not there"},
		{pattern: "/usr/share/out.jar", err: "which is not there"},
		{pattern: "/usr/share/loop.jar", err: "too many links"},
		{pattern: "/usr/[", err: "syntax error"},
	} {
		t.Run(tt.pattern, func(t *testing.T) {
			entries, err := Match(tree, tt.pattern)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range entries {
				got = append(got, e.Path)
				if e.Source != "" && !strings.HasPrefix(e.Source, tree) {
					t.Errorf("%s comes from %s", e.Path, e.Source)
				}
			}
			slices.Sort(got)
			slices.Sort(tt.want)
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestDigest(t *testing.T) {
	base := map[string]string{"a/file": "text", "a/link": "-> file", "b": "dir"}
	sum := func(change func(root string)) string {
		t.Helper()
		root := plant(t, base)
		change(root)
		d, size, err := Digest(root)
		if err != nil {
			t.Fatal(err)
		}
		if size != 4 && size != 5 {
			t.Errorf("size %d", size)
		}
		return d
	}
	want := sum(func(string) {})
	if got := sum(func(root string) {
		old := time.Unix(1, 0)
		os.Chtimes(filepath.Join(root, "a/file"), old, old)
	}); got != want {
		t.Error("the digest depends on times")
	}
	for name, change := range map[string]func(root string){
		"content": func(root string) { os.WriteFile(filepath.Join(root, "a/file"), []byte("texts"), 0o644) },
		"mode":    func(root string) { os.Chmod(filepath.Join(root, "a/file"), 0o755) },
		"name":    func(root string) { os.Rename(filepath.Join(root, "a/file"), filepath.Join(root, "a/file2")) },
		"link": func(root string) {
			os.Remove(filepath.Join(root, "a/link"))
			os.Symlink("other", filepath.Join(root, "a/link"))
		},
		"folder": func(root string) { os.Remove(filepath.Join(root, "b")) },
	} {
		if sum(change) == want {
			t.Errorf("the digest does not see a change of %s", name)
		}
	}
	// That of a file is what sha256sum prints.
	root := plant(t, map[string]string{"file": "text"})
	got, size, err := Digest(filepath.Join(root, "file"))
	if err != nil || size != 4 || got != "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1" {
		t.Errorf("%s, %d, %v", got, size, err)
	}
	if _, _, err := Digest("/nowhere"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestLayer(t *testing.T) {
	root := plant(t, map[string]string{"file": "from disk"})
	long := "/" + strings.Repeat("long/", 60) + "ü"
	entries := []Entry{
		{Path: "/z", Content: Bytes([]byte("text")), Mode: 0o4755, UID: 10001, GID: 10002},
		{Path: "/a", Dir: true, Mode: 0o1777},
		{Path: "/a/link", Link: "../z"},
		{Path: "/m", Source: filepath.Join(root, "file"), Mode: 0o600},
		{Path: long, Content: Bytes(nil), Mode: 0o644},
	}
	epoch := time.Unix(1700000000, 0)
	write := func(entries []Entry) []byte {
		var b bytes.Buffer
		if err := Layer(t.Context(), &b, entries, epoch); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	first := write(entries)
	backwards := []Entry{entries[4], entries[3], entries[2], entries[1], entries[0]}
	if !bytes.Equal(first, write(backwards)) {
		t.Error("the layer depends on the order of the entries")
	}
	var got []string
	r := tar.NewReader(bytes.NewReader(first))
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.Equal(epoch) || h.Uname != "" || h.Gname != "" {
			t.Errorf("%s: %+v", h.Name, h)
		}
		if h.Format == tar.FormatPAX != (len(h.Name) > 200) {
			t.Errorf("%s has the format %v", h.Name, h.Format)
		}
		got = append(got, h.FileInfo().Mode().String()+" "+h.Name)
	}
	want := []string{"dtrwxrwxrwx a/", "Lrwxrwxrwx a/link", "-rw-r--r-- " + long[1:], "-rw------- m", "urwxr-xr-x z"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}

	// GNU tar is the judge.
	cmd := exec.Command("tar", "--numeric-owner", "-tvf", "-")
	cmd.Stdin = bytes.NewReader(first)
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("-rwsr-xr-x 10001/10002 ")) || !bytes.Contains(out, []byte("a/link -> ../z")) {
		t.Errorf("tar: %v\n%s", err, out)
	}
	for _, bad := range [][]Entry{
		{{Path: "relative"}}, {{Path: "/a/../b"}}, {{Path: "/a"}, {Path: "/a"}}, {{Path: "/x", Source: "/nowhere"}},
	} {
		if err := Layer(t.Context(), io.Discard, bad, epoch); err == nil {
			t.Errorf("no error for %v", bad)
		}
	}
}

func TestFolder(t *testing.T) {
	root := plant(t, map[string]string{"sub/file": "text", "link": "-> sub/file"})
	got, err := Folder(root, "/to", FolderOptions{Mode: 0o640, UID: 1, GID: 2})
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{
		{Path: "/to", Dir: true, Mode: 0o755, UID: 1, GID: 2},
		{Path: "/to/link", Link: "sub/file", Mode: 0o777, UID: 1, GID: 2},
		{Path: "/to/sub", Dir: true, Mode: 0o755, UID: 1, GID: 2},
		{Path: "/to/sub/file", Source: filepath.Join(root, "sub/file"), Mode: 0o640, UID: 1, GID: 2},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if _, err := Folder("/dev/null", "/null", FolderOptions{}); err == nil {
		t.Error("a device was taken")
	}
}
