package elfdeps

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/stages/files"
)

// program returns a program of this machine that is linked dynamically.
func program(t *testing.T) string {
	t.Helper()
	p, err := filepath.EvalSymlinks("/bin/ls")
	if err != nil {
		t.Skip("this machine has no /bin/ls")
	}
	return p
}

// TestLoader takes the dynamic loader of this machine as the judge.
func TestLoader(t *testing.T) {
	ls := program(t)
	out, err := exec.Command("ldd", ls).Output()
	if err != nil {
		t.Skip("ldd does not work here: install the package libc-bin")
	}
	var want []string
	for _, m := range regexp.MustCompile(`(?m)(/\S+) \(0x`).FindAllStringSubmatch(string(out), -1) {
		real, err := files.Resolve("/", m[1])
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, real)
	}
	slices.Sort(want)
	want = slices.Compact(want)
	list, err := Closure("/", []string{ls}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got, looked []string
	for _, l := range list {
		if slices.Contains(lookup, filepath.Base(l.Path)) {
			looked = append(looked, filepath.Base(l.Path))
			continue
		}
		got = append(got, l.Real)
	}
	slices.Sort(got)
	got = slices.Compact(got)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("against ldd (-want +got):\n%s", d)
	}
	if !slices.Contains(looked, "libresolv.so.2") || !slices.Contains(looked, "libnss_dns.so.2") {
		t.Errorf("of name lookup only %v", looked)
	}
}

// copied makes a root with the closure of a program and returns it together
// with the closure.
func copied(t *testing.T, prog string) (string, []Library) {
	t.Helper()
	list, err := Closure("/", []string{prog}, nil)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	put := func(from, to string) {
		t.Helper()
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		to = filepath.Join(root, to)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	put(prog, prog)
	for _, l := range list {
		put(l.Real, l.Path)
	}
	return root, list
}

func TestRoot(t *testing.T) {
	ls := program(t)
	root, want := copied(t, ls)
	got, err := Closure(root, []string{ls}, []string{"/**/libresolv.so.*"})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	for _, l := range got {
		if l.Real != l.Path {
			t.Errorf("%v is a link in a root without links", l)
		}
	}

	_, err = Closure(root, []string{ls}, []string{"/usr/lib/nothing*"})
	if fault.KindOf(err) != fault.Input || !strings.Contains(err.Error(), "no library matches") {
		t.Errorf("error %v", err)
	}

	i := slices.IndexFunc(got, func(l Library) bool { return filepath.Base(l.Path) == "libc.so.6" })
	if i < 0 {
		t.Fatalf("no libc in %v", got)
	}
	if err := os.Remove(filepath.Join(root, got[i].Path)); err != nil {
		t.Fatal(err)
	}
	_, err = Closure(root, []string{ls}, nil)
	if fault.KindOf(err) != fault.Input || !strings.Contains(err.Error(), "needs the shared library libc.so.6") {
		t.Errorf("error %v", err)
	}
}

func TestSearchDirs(t *testing.T) {
	o := object{runPath: []string{"$ORIGIN", "${ORIGIN}/../lib", "relative", "/opt/lib/"}}
	want := []string{"/jre/bin", "/jre/lib", "/opt/lib"}
	if d := cmp.Diff(want, o.searchDirs("/jre/bin")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// FuzzReadELF wants an error or a result for any bytes, never a panic.
func FuzzReadELF(f *testing.F) {
	if data, err := os.ReadFile("/bin/true"); err == nil {
		f.Add(data)
		f.Add(data[:len(data)/2])
		f.Add(data[:64])
	}
	f.Add([]byte("\x7fELF"))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := readELF(bytes.NewReader(data))
		if err == nil && len(o.interpreter) > 4096 {
			t.Errorf("an interpreter of %d bytes", len(o.interpreter))
		}
	})
}
