package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/builder/store"
	"github.com/imgbuild/imgbuild/stages"
)

// condition decides the conditions of the scripts:
//
//	[build]       an appliance without a runtime can be built here
//	[judge:NAME]  a program that a script compares with is installed
//	[mount]       a file system can be mounted
//
// A machine that lacks something skips the scripts that need it, but not when
// CI is true.
func condition(name string) (bool, error) {
	kind, arg, _ := strings.Cut(name, ":")
	var err error
	switch kind {
	case "build":
		err = canBuild()
	case "judge":
		_, err = exec.LookPath(arg)
	case "mount":
		return canMount(), nil
	default:
		return false, fmt.Errorf("unknown condition %q", name)
	}
	if err != nil && os.Getenv("CI") == "true" {
		return false, fmt.Errorf("condition %s: %w", name, err)
	}
	return err == nil, nil
}

// simple is a recipe that builds in seconds and boots.
const simple = `apiVersion: imgbuild/v1
name: simple
kernel: {package: linux-image-cloud-amd64}
runtime: none
app: {binary: %s}
`

// canBuild plans the simplest appliance, which looks for the guest's init, the
// outside programs and the package sources.
var canBuild = sync.OnceValue(func() error {
	binary, err := server()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "imgbuild-plan-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	recipe := filepath.Join(dir, "simple.yaml")
	if err := os.WriteFile(recipe, fmt.Appendf(nil, simple, binary), 0o644); err != nil {
		return err
	}
	cache, err := store.DefaultDir()
	if err != nil {
		return err
	}
	store.RouteLogs(hclog.NewNullLogger())
	s, err := stages.Open(context.Background(), stages.Request{
		RecipePath: recipe, CacheDir: cache, DryRun: true, Epoch: stages.DefaultEpoch, Log: hclog.NewNullLogger(),
	})
	if err != nil {
		return err
	}
	return s.Close()
})

// canMount tries it.
var canMount = sync.OnceValue(func() bool {
	dir, err := os.MkdirTemp("", "imgbuild-mount-")
	if err != nil {
		return false
	}
	defer os.Remove(dir)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		return false
	}
	return unix.Unmount(dir, 0) == nil
})

// server compiles the example that needs no runtime, once for all scripts. It
// stays beside the test binary, which `go test` removes.
var server = sync.OnceValues(func() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(self), "server")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -buildid=", "-o", path, "../../examples/go-static")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("compiling the example: %w: %s", err, out)
	}
	return path, nil
})
