package recipes

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStartersResolve(t *testing.T) {
	for _, full := range []bool{false, true} {
		dir := t.TempDir()
		path := filepath.Join(dir, "recipe.yaml")
		if err := os.WriteFile(path, Starter("My App!", full), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "app.jar"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := Resolve(Options{Path: path})
		if err != nil {
			t.Fatalf("full %v: %v", full, err)
		}
		if r.Recipe.Name != "my-app" {
			t.Errorf("name %q", r.Recipe.Name)
		}
	}
}

// eachKey calls fn with the name of every key of a recipe.
func eachKey(of reflect.Type, fn func(t reflect.Type, f field)) {
	if of = structType(of); of == nil || mapScalar(of) != nil {
		return
	}
	for _, f := range fieldsOf(of) {
		fn(of, f)
		eachKey(of.Field(f.index).Type, fn)
	}
}

func TestFullStarterHasEveryKey(t *testing.T) {
	text := string(Starter("x", true))
	eachKey(reflect.TypeFor[Recipe](), func(of reflect.Type, f field) {
		if !regexp.MustCompile(`\b` + f.name + `:`).MatchString(text) {
			t.Errorf("the full starter lacks %s of %s", f.name, of.Name())
		}
	})
}

// TestCommentedKeys takes each key that is commented out back in, one at a
// time. It may then exclude another key, but it must be one.
func TestCommentedKeys(t *testing.T) {
	commented := regexp.MustCompile(`^(\s*)# ((?:- \{|- exit|[a-zA-Z]+: [^ ]).*)$`)
	lines := strings.Split(string(Starter("x", true)), "\n")
	found := 0
	for i, line := range lines {
		m := commented.FindStringSubmatch(line)
		if m == nil || strings.HasPrefix(m[2], "yaml") {
			continue
		}
		if !strings.ContainsAny(m[2], "[{/\"") && strings.Count(m[2], " ") > 1 {
			continue // prose
		}
		found++
		with := append([]string{}, lines...)
		with[i] = m[1] + m[2]
		_, err := Parse("starter.yaml", []byte(strings.Join(with, "\n")))
		if err == nil {
			continue
		}
		for _, message := range strings.Split(err.Error(), "\n\n") {
			if !regexp.MustCompile(`exclude each other|is for |given twice|stands alone`).MatchString(message) {
				t.Errorf("%s\n%s", m[2], message)
			}
		}
	}
	if found < 15 {
		t.Errorf("found only %d keys that are commented out", found)
	}
}

func TestRecipeName(t *testing.T) {
	for in, want := range map[string]string{"": "app", "...": "app", "Übung 1": "bung-1", "a_b.c-": "a_b.c", strings.Repeat("x", 99): strings.Repeat("x", 63)} {
		if got := recipeName(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestBuiltinsParse(t *testing.T) {
	names := Builtins()
	if len(names) == 0 {
		t.Fatal("no recipes are built in")
	}
	for _, name := range names {
		data, err := Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(name+".yaml", data); err != nil {
			t.Errorf("%v", err)
		}
	}
	if _, err := Builtin("helo-jvm"); err == nil || !strings.Contains(err.Error(), "no built-in recipe") {
		t.Errorf("got %v", err)
	}
}

// TestBuiltinFiles compares what comes with the program with the source tree:
// every file beside a built-in recipe that the recipe names.
func TestBuiltinFiles(t *testing.T) {
	for _, name := range Builtins() {
		text, err := Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Parse(name+".yaml", text)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string][]byte{}
		eachPath(r, func(_, _ string, value *string) {
			if filepath.IsLocal(*value) {
				readAll(t, *value, want)
			}
		})
		carried, err := BuiltinFiles(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, carried); diff != "" {
			t.Errorf("%s: files beside the recipe (-source +program):\n%s", name, diff)
		}
	}
	if files, err := BuiltinFiles(".."); err != nil || len(files) > 0 {
		t.Errorf("files of no recipe: %d, error %v", len(files), err)
	}
}

// readAll reads a file, or all that a folder holds.
func readAll(t *testing.T, name string, into map[string][]byte) {
	t.Helper()
	err := filepath.WalkDir(name, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			into[p], err = os.ReadFile(p)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
