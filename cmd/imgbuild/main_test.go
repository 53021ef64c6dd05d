package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/imgbuild/imgbuild/builder/store"
	"github.com/imgbuild/imgbuild/stages/sandbox"
	"github.com/imgbuild/imgbuild/vm/keep"
)

func TestMain(m *testing.M) {
	// Inside a sandbox this program is also the relay to the app, and beside a
	// machine in the background its keeper.
	if sandbox.HelperMain(os.Args) || keep.HelperMain(os.Args) {
		return
	}
	testscript.Main(program{m}, map[string]func(){"imgbuild": func() { os.Exit(run()) }})
}

// TestScripts runs the scripts: each verb as its users meet it, and each kind
// of bad input. They share the user's cache, so that a JDK is fetched once; a
// script that harms a cache names one of its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                "testdata/script",
		Setup:              setup,
		Cmds:               commands,
		Condition:          condition,
		RequireUniqueNames: true,
	})
}

// setup gives a script the cache, the sources of the examples, and the
// machine's way to the network.
func setup(env *testscript.Env) error {
	cache, err := store.DefaultDir()
	if err != nil {
		return err
	}
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		return err
	}
	env.Setenv(store.DirEnv, cache)
	env.Setenv("EXAMPLES", examples)
	path, err := scriptPath(strings.TrimPrefix(filepath.Base(env.WorkDir), "script-"))
	if err != nil {
		return err
	}
	env.Setenv("PATH", path)
	for _, v := range os.Environ() {
		if name, value, _ := strings.Cut(v, "="); strings.HasSuffix(strings.ToLower(name), "_proxy") {
			env.Setenv(name, value)
		}
	}
	return nil
}
