package recipes

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/fault"
)

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %d files, error %v", pattern, len(paths), err)
	}
	return paths
}

func badRecipes(t *testing.T) []string { return glob(t, "testdata/bad/*.yaml") }

// goodRecipes are all recipes that stand alone: fixtures and built-ins.
func goodRecipes(t *testing.T) []string {
	return append(glob(t, "testdata/good/*.yaml"), glob(t, "*.yaml")...)
}

func TestParseAcceptsGoodRecipes(t *testing.T) {
	for _, path := range goodRecipes(t) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(path, data); err != nil {
			t.Errorf("%v", err)
		}
	}
}

// TestBadRecipes compares what Parse says of each bad recipe with the golden
// file beside it.
func TestBadRecipes(t *testing.T) {
	for _, path := range badRecipes(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse(filepath.Base(path), data)
			if err == nil {
				t.Fatal("Parse accepts it")
			}
			if kind := fault.KindOf(err); kind != fault.Recipe {
				t.Errorf("kind %d, want %d", kind, fault.Recipe)
			}
			checkErrors(t, err, string(data))
			golden(t, strings.TrimSuffix(path, ".yaml")+".golden", []byte(err.Error()+"\n"))
		})
	}
}

// checkErrors checks what holds for all errors of Parse: each has a position
// in the text and a message.
func checkErrors(t *testing.T, err error, text string) {
	t.Helper()
	var list Errors
	if !errors.As(err, &list) || len(list) == 0 {
		t.Fatalf("no list of errors: %v", err)
	}
	lines := strings.Count(text, "\n") + 1
	for _, e := range list {
		if e.Line < 1 || e.Line > lines || e.Col < 1 || e.Message == "" || e.File == "" {
			t.Errorf("error without a position in the text: %+v", e)
		}
	}
}

func TestParseBounds(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString("x-a: &a [x, x, x, x, x, x, x, x, x, x]\n")
	for c := 'b'; c < 'k'; c++ {
		bomb.WriteString("x-" + string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+", ", 9) + "*" + string(c-1) + "]\n")
	}
	tests := map[string]struct{ text, want string }{
		"aliases":       {bomb.String(), "grows beyond"},
		"brackets":      {strings.Repeat("[", 20_000), "nested more than"},
		"braces":        {strings.Repeat("{a: ", 10_000), "nested more than"},
		"dashes":        {strings.Repeat("- ", 10_000) + "x", "nested more than"},
		"question":      {strings.Repeat("? ", 10_000) + "x", "nested more than"},
		"tags":          {strings.Repeat("!a ", 10_000) + "x", "nested more than"},
		"size":          {strings.Repeat("# a long comment\n", 70_000), "a recipe has at most"},
		"self":          {"x-a: &a [*a]\n", "inside its own anchor"},
		"unknown keys":  {manyKeys(9_000), "unknown key `k0`"},
		"many values":   {"x-a: [" + strings.Repeat("1,", 25_000) + "]", "grows beyond"},
		"two documents": {"name: a\n---\nname: b\n", "more than one document"},
		"latin 1":       {"name: \xe4\n", "not UTF-8"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("bomb.yaml", []byte(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %.300v, want %q", err, test.want)
			}
		})
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d: 1\n", i)
	}
	return b.String()
}

func TestVariableBomb(t *testing.T) {
	text := "vars:\n  a: " + strings.Repeat("x", 1000) + "\n"
	for c := 'b'; c < 'm'; c++ {
		text += "  " + string(c) + `: "` + strings.Repeat("${"+string(c-1)+"}", 10) + "\"\n"
	}
	_, err := Parse("bomb.yaml", []byte(text+"name: ${l}\n"))
	if err == nil || !strings.Contains(err.Error(), "grows beyond") {
		t.Errorf("got %.300v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"*.yaml", "testdata/*/*.yaml"} {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Parse("fuzz.yaml", data)
		if err != nil {
			checkErrors(t, err, string(data))
			return
		}
		if r.APIVersion != APIVersion || r.Name == "" {
			t.Errorf("accepted without a name: %+v", r)
		}
	})
}
