package classfile

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// jdkClasses returns the class files of a module of the JDK that is installed.
func jdkClasses(t testing.TB, module string) map[string][]byte {
	t.Helper()
	jdeps, err := exec.LookPath("jdeps")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("jdeps is missing: install the package openjdk-17-jdk-headless")
		}
		t.Skip("jdeps is missing: install the package openjdk-17-jdk-headless")
	}
	if jdeps, err = filepath.EvalSymlinks(jdeps); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(filepath.Dir(jdeps), "..", "jmods", module+".jmod"))
	if err != nil {
		t.Fatal(err)
	}
	// A jmod file is a zip archive behind four bytes; archive/zip finds it.
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	classes := map[string][]byte{}
	for _, f := range z.File {
		name, ok := strings.CutPrefix(f.Name, "classes/")
		if !ok || !strings.HasSuffix(name, ".class") || strings.HasSuffix(name, "module-info.class") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if classes[name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
	return classes
}

// dependencies is what jdeps says of the classes.
func dependencies(t *testing.T, classes map[string][]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "all.jar")
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, content := range classes {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("jdeps", "-filter:none", "-verbose:class", "--multi-release", "17", path).CombinedOutput()
	if err != nil {
		t.Fatalf("jdeps: %v\n%s", err, out)
	}
	var found strings.Builder
	for line := range strings.Lines(string(out)) {
		// Packages of the JDK in a jar are worth a warning, with its path.
		if !strings.HasPrefix(line, "Warning: split package") {
			found.WriteString(line)
		}
	}
	return found.String()
}

// TestStubDependencies lets jdeps judge: it must find the same in the stubs as
// in the classes.
func TestStubDependencies(t *testing.T) {
	for _, module := range []string{"java.logging", "java.sql", "java.naming"} {
		t.Run(module, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && module != "java.logging" {
				t.Skip("jdeps takes seconds")
			}
			classes := jdkClasses(t, module)
			stubs := map[string][]byte{}
			whole, small := 0, 0
			for name, b := range classes {
				c, err := Parse(b)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if c.Name+".class" != name {
					t.Errorf("%s is read as %s", name, c.Name)
				}
				if stubs[name], err = c.Stub(); err != nil {
					t.Fatal(err)
				}
				whole, small = whole+len(b), small+len(stubs[name])
			}
			if diff := cmp.Diff(dependencies(t, classes), dependencies(t, stubs)); diff != "" {
				t.Errorf("what jdeps finds (-classes +stubs):\n%s", diff)
			}
			t.Logf("%d classes, %d bytes, stubs %d bytes", len(classes), whole, small)
		})
	}
}

// TestStubStable shows what stubs are for: an edit that refers to nothing new
// leaves the stub as it was.
func TestStubStable(t *testing.T) {
	if _, err := exec.LookPath("javac"); err != nil {
		t.Skip("javac is missing: install the package openjdk-17-jdk-headless")
	}
	stub := func(source string) []byte {
		dir := t.TempDir()
		path := filepath.Join(dir, "A.java")
		if err := os.WriteFile(path, []byte(source), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("javac", "-g", "-d", dir, path).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		b, err := os.ReadFile(filepath.Join(dir, "A.class"))
		if err != nil {
			t.Fatal(err)
		}
		c, err := Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.Stub()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	before := stub(`class A { java.util.List<java.util.Date> l; String f() { return "Ljava/lang/Gone;"; } }`)
	edited := stub(`class A { java.util.List<java.util.Date> l; String f() { int i = 3; return "b" + i + g(); } int g() { return 2; } }`)
	recast := stub(`class A { java.util.List<java.util.Date> m; String h() { int i = 3; return i > 2 ? "y" : "z"; } }`)
	marked := stub(`@interface I {} @I class A { java.util.List<java.util.Date> l; String f(@I int i) { return "a"; } }`)
	other := stub(`class A { java.util.List<java.net.URL> l; String f() { return "a"; } }`)
	if bytes.Contains(before, []byte("Gone")) || !bytes.Contains(before, []byte("java/util/Date")) {
		t.Errorf("the stub refers to a string, or not to the argument of a type: %q", before)
	}
	if !bytes.Equal(before, recast) {
		t.Errorf("an edit that refers to nothing new changes the stub: %q is now %q", before, recast)
	}
	if !bytes.Equal(before, marked) {
		t.Errorf("an annotation for compilers alone changes the stub: %q is now %q", before, marked)
	}
	if bytes.Equal(before, other) {
		t.Error("another type leaves the stub as it was")
	}
	c, err := Parse(edited)
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Stub()
	if err != nil || !bytes.Equal(again, edited) {
		t.Errorf("the stub of a stub differs: %v", err)
	}
}

func TestTypes(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"(ILjava/lang/String;[[Lx/Y;)V", "java/lang/String x/Y"},
		{"<T:Ljava/lang/Object;:Lx/I;U::Lx/J<TT;>;>Lx/Base<TT;>;Lx/K;", "java/lang/Object x/I x/J x/Base x/K"},
		{"Lx/Map<TK;+Lx/V;*>.Entry<-Lx/W;>;", "x/V x/W x/Map$Entry"},
		{"()TT;^Lx/E;^TX;", "x/E"},
		{"[I", ""},
		{"V", ""},
		{"Lx/Y", ""},
		{"Hello; world", ""},
		{"L;", ""},
		{strings.Repeat("Lx<", 200), ""},
	} {
		if got := strings.Join(appendTypes(nil, tt.text), " "); got != tt.want {
			t.Errorf("%q names %q, want %q", tt.text, got, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, b := range jdkClasses(f, "java.logging") {
		if len(b) < 3000 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse(b)
		if err != nil {
			return
		}
		s, err := c.Stub()
		if err != nil {
			return
		}
		again, err := Parse(s)
		if err != nil {
			t.Fatalf("the stub is no class file: %v", err)
		}
		if again.Name != c.Name || again.Super != c.Super || len(again.Interfaces) != len(c.Interfaces) {
			t.Errorf("the stub is of %+v, want %+v", again, c)
		}
	})
}
