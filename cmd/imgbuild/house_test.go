package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// module is what the paths of our own packages begin with.
const module = "github.com/imgbuild/imgbuild/"

// below lists, for each room, the rooms that it may import. Every room may
// import itself, fault, which has kinds of errors and nothing else, and flock,
// which has locks on files.
var below = map[string][]string{
	"cmd":   {"stages", "vm", "inspect", "clean", "sanitize", "output", "builder", "kernel", "disk", "recipes"},
	"bench": {"stages", "vm", "inspect", "clean", "sanitize", "output", "builder", "kernel", "disk", "recipes"},

	"inspect":  {"sanitize", "output", "kernel", "disk"},
	"clean":    {"sanitize", "output", "disk"},
	"stages":   {"sanitize", "output", "builder", "kernel", "disk", "recipes"},
	"vm":       {"sanitize", "kernel", "disk", "recipes"},
	"sanitize": {"kernel", "disk", "recipes"},
	"output":   {"kernel", "disk", "recipes"},
	"builder":  {"disk", "recipes"},
	"kernel":   {},
	"disk":     {},
	"recipes":  {},
	"fault":    {},
	"flock":    {},
	"examples": {},
}

// light are the rooms that must stay small: they serve without the engine.
var light = []string{"recipes", "disk", "sanitize"}

// heavy matches what they must not import, not even through others.
var heavy = regexp.MustCompile(`^github\.com/(containerd/|aws/|moby/buildkit|docker/)`)

// pkg is what `go list` tells of a package.
type pkg struct {
	ImportPath string
	Doc        string
	Standard   bool
	Imports    []string
	Deps       []string
}

// room is the first part of a package's path in the module; "" for others.
func room(importPath string) string {
	rest, ok := strings.CutPrefix(importPath, module)
	if !ok {
		return ""
	}
	first, _, _ := strings.Cut(rest, "/")
	return first
}

// packages lists the module's packages.
func packages(t *testing.T) []pkg {
	t.Helper()
	list, err := listPackages()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

var listPackages = sync.OnceValues(func() ([]pkg, error) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Doc,Standard,Imports,Deps", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("listing the packages: %w", err)
	}
	var list []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return list, nil
		} else if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
})

// TestImportsRunDown checks the lines between the rooms.
func TestImportsRunDown(t *testing.T) {
	for _, p := range packages(t) {
		from := room(p.ImportPath)
		allowed, known := below[from]
		if !known {
			t.Errorf("%s stands in no room of the house", p.ImportPath)
		}
		for _, imp := range p.Imports {
			to := room(imp)
			if to != "" && to != from && to != "fault" && to != "flock" && !slices.Contains(allowed, to) {
				t.Errorf("%s imports %s", p.ImportPath, imp)
			}
		}
		for _, dep := range p.Deps {
			if slices.Contains(light, from) && heavy.MatchString(dep) {
				t.Errorf("%s depends on %s", p.ImportPath, dep)
			}
		}
	}
}

// TestInitStandsAlone checks that PID 1 of the guest holds nothing but the
// standard library, system calls and its own rooms.
func TestInitStandsAlone(t *testing.T) {
	list := packages(t)
	i := slices.IndexFunc(list, func(p pkg) bool { return p.ImportPath == module+"kernel/init" })
	if i < 0 {
		t.Fatal("there is no kernel/init")
	}
	for _, dep := range list[i].Deps {
		first, _, _ := strings.Cut(dep, "/")
		standard := !strings.Contains(first, ".")
		if !standard && !strings.HasPrefix(dep, "golang.org/x/sys/") && !strings.HasPrefix(dep, module+"kernel/init/") {
			t.Errorf("init depends on %s", dep)
		}
	}
}

// TestPackageComments checks that each package says what it is for.
func TestPackageComments(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}
