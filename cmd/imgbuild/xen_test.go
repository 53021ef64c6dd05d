package main

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgbuild/imgbuild/recipes"
	"github.com/imgbuild/imgbuild/vm"
)

// TestXenKeepsTheHeap takes memory from a JVM's guest on Xen, saves and restores
// it, and finds what the app keeps on its heap: the count of its visitors.
func TestXenKeepsTheHeap(t *testing.T) {
	dir := readyRecipes(t)
	out := t.TempDir()
	imgbuild(t, "build", filepath.Join(dir, "hello-jvm.yaml"), "-o", out, "--set", "outputs=[raw]")
	m, err := vm.New(vm.Options{
		Disk: filepath.Join(out, "hello-jvm.raw"), Boot: vm.XenPVHDirect, Memory: 256 << 20,
		Ports: []vm.Forward{{Guest: 8080}}, Log: func(text string) { t.Log(text) },
	})
	if err != nil {
		t.Fatal(err)
	}
	// The first visitor is the check, which tries until the app listens.
	checks := vm.Checks{List: []recipes.Check{{HTTP: &recipes.HTTPCheck{Port: 8080, Contains: "Visitor 1\n"}}}}
	var r *vm.Running
	for try := 1; ; try++ {
		if r, err = m.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer r.Kill()
		report := r.Check(t.Context(), checks)
		if report.Err() == nil {
			break
		}
		if !report.Untested() || try == 3 {
			t.Fatal(report.Err())
		}
	}
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
	for _, step := range []struct {
		what    string
		do      func() error
		visitor string
	}{
		{"taking memory", func() error { return r.SetMemory(ctx, 160<<20) }, "Visitor 2\n"},
		{"saving", func() error { return x.Save(ctx) }, ""},
		{"restoring", func() error { return x.Restore(ctx) }, "Visitor 3\n"},
		{"giving memory", func() error { return r.SetMemory(ctx, 256<<20) }, "Visitor 4\n"},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if step.visitor == "" {
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
		if err != nil || !strings.HasSuffix(string(body), step.visitor) {
			t.Fatalf("after %s the app answers %q, %v; want %q", step.what, body, err, step.visitor)
		}
	}
	if err := r.Stop(ctx); err != nil {
		t.Error(err)
	}
}
