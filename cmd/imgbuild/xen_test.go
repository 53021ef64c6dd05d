package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/imgbuild/imgbuild/recipes"
	"github.com/imgbuild/imgbuild/vm"
)

// TestXenKeepsTheHeap takes memory from a JVM's guest on Xen, saves and restores
// it, and finds what the app keeps on its heap: the count of its visitors. PV
// and HVM take long; make test-slow asks for them.
func TestXenKeepsTheHeap(t *testing.T) {
	dir := readyRecipes(t)
	out := t.TempDir()
	imgbuild(t, "build", filepath.Join(dir, "hello-jvm.yaml"), "-o", out, "--set", "outputs=[raw]")
	// The check is a visitor too, more than one when its first try took too long.
	checks := vm.Checks{List: []recipes.Check{{HTTP: &recipes.HTTPCheck{Port: 8080, Contains: "Visitor "}}}}
	for _, boot := range []vm.Boot{vm.XenPVHDirect, vm.XenPVDirect, vm.XenHVM} {
		t.Run(string(boot), func(t *testing.T) {
			if boot != vm.XenPVHDirect && os.Getenv("IMGBUILD_TEST_SLOW") == "" {
				t.Skip("IMGBUILD_TEST_SLOW is not set: make test-slow sets it")
			}
			m, err := vm.New(vm.Options{
				Disk: filepath.Join(out, "hello-jvm.raw"), Boot: boot, Memory: 256 << 20,
				Ports: []vm.Forward{{Guest: 8080}}, Log: func(text string) { t.Log(text) },
			})
			if err != nil {
				t.Fatal(err)
			}
			err = m.Run(t.Context(), func(r *vm.Running) error {
				if err := r.Check(t.Context(), checks).Err(); err != nil {
					return err
				}
				keepsTheHeap(t, r)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// keepsTheHeap finds the count of visitors, of which there was one, after all
// that dom0 can do to a guest.
func keepsTheHeap(t *testing.T, r *vm.Running) {
	x, _ := r.Xen()
	defer func() {
		if t.Failed() {
			for _, l := range append(x.Log().Tail(10), r.Console().Tail(10)...) {
				t.Log(l.Text)
			}
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	seen := 1 // a JVM that began anew would count from there
	for _, step := range []struct {
		what    string
		do      func() error
		answers bool
	}{
		{"taking memory", func() error { return r.SetMemory(ctx, 160<<20) }, true},
		{"saving", func() error { return x.Save(ctx) }, false},
		{"restoring", func() error { return x.Restore(ctx) }, true},
		{"giving memory", func() error { return r.SetMemory(ctx, 256<<20) }, true},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if !step.answers {
			continue
		}
		addr, _ := r.Addr(8080)
		client := http.Client{Timeout: 5 * time.Minute}
		resp, err := client.Get("http://" + addr + "/")
		if err != nil {
			t.Fatalf("after %s: %v", step.what, err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		_, count, _ := strings.Cut(string(body), "Visitor ")
		visitor, parseErr := strconv.Atoi(strings.TrimSpace(count))
		if err != nil || parseErr != nil || visitor <= seen {
			t.Fatalf("after %s the app answers %q, %v; want a visitor after %d", step.what, body, err, seen)
		}
		seen = visitor
	}
	if err := r.Stop(ctx); err != nil {
		t.Error(err)
	}
}
