package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// watched are the scripts that run the test binary itself as the program also
// when it looks for races, which makes it several times slower: together they
// run what works side by side, the stages of a build, the writers of formats,
// machines that are tested in parallel, conversion and transfers.
var watched = []string{"build", "convert", "push", "sanitize", "test"}

// program is testing.M with the program as users have it, without the race
// detector, first in the PATH.
type program struct{ *testing.M }

func (p program) Run() int {
	if raced {
		dir, err := plainProgram()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		os.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	}
	return p.M.Run()
}

// plainProgram compiles the program once, as the Makefile does, into a folder
// beside the test binary, which `go test` removes.
var plainProgram = sync.OnceValues(func() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(filepath.Dir(self), "plain")
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", filepath.Join(dir, "imgbuild"), ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("compiling the program: %w: %s", err, out)
	}
	return dir, nil
})

// scriptPath is the PATH of a script.
func scriptPath(name string) (string, error) {
	path := filepath.SplitList(os.Getenv("PATH"))
	if raced && slices.Contains(watched, name) {
		dir, err := plainProgram()
		if err != nil {
			return "", err
		}
		path = slices.DeleteFunc(path, func(p string) bool { return p == dir })
	}
	return strings.Join(path, string(filepath.ListSeparator)), nil
}
