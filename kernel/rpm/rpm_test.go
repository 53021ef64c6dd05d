package rpm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// need skips a test whose judge is not installed, but not in CI.
func need(t testing.TB, program, pkg string) {
	t.Helper()
	_, err := exec.LookPath(program)
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("%s is missing: install the package %s", program, pkg)
	default:
		t.Skipf("%s is missing: install the package %s", program, pkg)
	}
}

// payloads are rpmbuild's names of the compressions.
var payloads = []string{"w9.gzdio", "w6.xzdio", "w19.zstdio", "w9.bzdio", "w6.lzdio", "w.ufdio"}

// spec packages a folder as it is.
const spec = `Name: fixture
Version: 1.2
Release: 3
Summary: files to be read again
License: none
BuildArch: noarch
%%define _binary_payload %s
%%define __os_install_post %%{nil}
%%define _build_id_links none
%%description
Files.
%%files
%%defattr(-,root,root)
/*
`

// build makes a package of a folder with rpmbuild.
func build(t testing.TB, root, payload string) string {
	t.Helper()
	need(t, "rpmbuild", "rpm")
	top := t.TempDir()
	file := filepath.Join(top, "fixture.spec")
	if err := os.WriteFile(file, fmt.Appendf(nil, spec, payload), 0o644); err != nil {
		t.Fatal(err)
	}
	// rpmbuild empties its build root; what is packaged is a copy.
	copied := filepath.Join(top, "root")
	if out, err := exec.Command("cp", "-a", root, copied).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	cmd := exec.Command("rpmbuild", "-bb", "--quiet", "--noclean", "--buildroot", copied,
		"--define", "_topdir "+top, "--define", "_tmppath "+top, "--define", "clamp_mtime_to_source_date_epoch 0", file)
	cmd.Env = append(os.Environ(), "HOME="+top)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("rpmbuild: %v\n%s", err, out)
	}
	return filepath.Join(top, "RPMS/noarch/fixture-1.2-3.noarch.rpm")
}

// tree is a folder with files of many sizes, hard links and symbolic ones.
func tree(t testing.TB) string {
	t.Helper()
	root := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	for i, size := range []int{0, 1, 3, 4, 5, 4095, 1 << 20} {
		b := make([]byte, size)
		for j := range b {
			b[j] = byte(random.Uint32()) & 0x3f
		}
		path := filepath.Join(root, "lib/modules", strings.Repeat("deep/", i), fmt.Sprintf("file-%d", size))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	err := errors.Join(
		os.Link(filepath.Join(root, "lib/modules/deep/file-1"), filepath.Join(root, "lib/second")),
		os.Link(filepath.Join(root, "lib/modules/deep/file-1"), filepath.Join(root, "lib/a third")),
		os.Symlink("/etc/passwd", filepath.Join(root, "lib/link")))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// Every compression that rpmbuild has: the files are those that rpm2cpio and
// cpio unpack, and rpm prints the same name.
func TestAgainstRPM(t *testing.T) {
	need(t, "rpm2cpio", "rpm2cpio")
	need(t, "cpio", "cpio")
	root := tree(t)
	for _, payload := range payloads {
		t.Run(payload, func(t *testing.T) {
			t.Parallel()
			pkg := build(t, root, payload)
			judged, ours := t.TempDir(), t.TempDir()
			script := fmt.Sprintf("rpm2cpio %s | cpio --quiet -idm", pkg)
			cmd := exec.Command("sh", "-c", script)
			cmd.Dir = judged
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s", script, err, out)
			}
			info := extract(t, pkg, ours, func(string) bool { return true })
			name, err := exec.Command("rpm", "-qp", "--nosignature", pkg).Output()
			if err != nil || strings.TrimSpace(string(name)) != info.String() {
				t.Errorf("rpm calls it %s (%v), we %s", name, err, info)
			}
			if err := os.Remove(filepath.Join(judged, "lib/link")); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("diff", "-r", judged, ours).CombinedOutput(); err != nil {
				t.Errorf("rpm2cpio unpacks otherwise: %s", out)
			}
		})
	}
}

func extract(t *testing.T, pkg, dir string, want func(string) bool) Info {
	t.Helper()
	f, err := os.Open(pkg)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	info, err := Extract(t.Context(), f, root, want)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// Only what is chosen is written, also when it is a later hard link.
func TestExtractChooses(t *testing.T) {
	pkg, dir := build(t, tree(t), "w9.gzdio"), t.TempDir()
	extract(t, pkg, dir, func(path string) bool { return path == "lib/second" || strings.HasSuffix(path, "file-5") })
	var found []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, filepath.Base(path))
		}
		return err
	})
	slices.Sort(found)
	if err != nil || !slices.Equal(found, []string{"file-5", "second"}) {
		t.Errorf("wrote %v, %v", found, err)
	}
}

// A package that was cut or changed anywhere is found out: by a digest, or
// because it cannot be read.
func TestDamage(t *testing.T) {
	whole, err := os.ReadFile(build(t, tree(t), "w19.zstdio"))
	if err != nil {
		t.Fatal(err)
	}
	read := func(b []byte) error {
		p, err := Open(bytes.NewReader(b))
		if err != nil {
			return err
		}
		defer p.Close()
		for {
			if _, err := p.Next(); err == io.EOF {
				return p.Verify()
			} else if err != nil {
				return err
			}
		}
	}
	if err := read(whole); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, leadSize - 1, leadSize, leadSize + 20, len(whole) / 3, len(whole) - 1} {
		if err := read(whole[:n]); err == nil {
			t.Errorf("the first %d of %d bytes are read as a package", n, len(whole))
		}
	}
	header := bytes.Index(whole, []byte("files to be read again"))
	for _, at := range []int{0, header, len(whole) / 2, len(whole) - 1} {
		b := bytes.Clone(whole)
		b[at] ^= 1
		if err := read(b); err == nil {
			t.Errorf("byte %d may be changed", at)
		}
	}
}

func TestNoWayOut(t *testing.T) {
	for name, want := range map[string]string{"../x": "", "a/../../x": "", "./usr/x": "usr/x", "/etc/x": "etc/x", "./": ".", "a//b/.": "a/b"} {
		got, err := clean(name)
		if got != want || (want == "") != (err != nil) {
			t.Errorf("clean(%q) = %q, %v", name, got, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	if _, err := exec.LookPath("rpmbuild"); err == nil {
		root := f.TempDir()
		if err := os.WriteFile(filepath.Join(root, "file"), []byte("content"), 0o644); err != nil {
			f.Fatal(err)
		}
		if err := os.Link(filepath.Join(root, "file"), filepath.Join(root, "link")); err != nil {
			f.Fatal(err)
		}
		for _, payload := range payloads {
			pkg, err := os.ReadFile(build(f, root, payload))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(pkg)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Open(bytes.NewReader(b))
		if err != nil {
			return
		}
		defer p.Close()
		for {
			file, err := p.Next()
			if err != nil {
				break
			}
			if strings.HasPrefix(file.Path, "/") || strings.Contains("/"+file.Path+"/", "/../") {
				t.Fatalf("a path %q", file.Path)
			}
			if n, err := io.CopyN(io.Discard, p, 16<<20); n > file.Size {
				t.Fatalf("%d bytes of %d, %v", n, file.Size, err)
			}
		}
		p.Verify()
	})
}

// FuzzArchive reads archives without the compression that hides them.
func FuzzArchive(f *testing.F) {
	header := func(mode, nlink, size, name int) string {
		return fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 1, mode, 0, 0, nlink, 0, size, 0, 0, 0, 0, name, 0)
	}
	f.Add([]byte(header(modeRegular, 1, 5, 4) + "abc\x00\x00\x00hello\x00\x00\x00" + header(0, 1, 0, 11) + cpioTrailer + "\x00"))
	f.Add([]byte(header(modeRegular, 2, 0, 2) + "a\x00" + header(modeRegular, 2, 1, 2) + "b\x00x\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a := archive{r: bytes.NewReader(b)}
		total := 0
		for {
			file, err := a.next()
			if err != nil {
				return
			}
			n, _ := io.Copy(io.Discard, &a)
			if total += int(n); total > len(b) || n > file.Size {
				t.Fatalf("%d bytes of %d in an archive of %d", n, file.Size, len(b))
			}
		}
	})
}
