package apt

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/builder/store"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/recipes"
)

func openStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.TempDir(), hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// smallRepo has an app with a dependency, a kernel behind a meta package, two
// kernel sources and a virtual package.
func smallRepo(t *testing.T) *repo {
	r := newRepo(t)
	r.add("app", "1:2.0-1+b1", "Depends: library (>= 1.0), meta-kernel\nRecommends: manual\nSource: app-src (2.0-1)", "app\n")
	r.add("library", "1.0", "", "library\n")
	r.add("manual", "1.0", "", "manual\n")
	r.add("meta-kernel", "5", "Depends: kernel-6.12.9", "meta\n")
	r.add("kernel-6.12.9", "6.12.9-1", "", "kernel\n")
	r.add("linux-source-6.1", "6.1.3-1", "Provides: some-source", "old\n")
	r.add("linux-source-6.12", "6.12.9-1", "Provides: some-source", "new\n")
	r.index()
	return r
}

func pins(list []recipes.LockedPackage) (out []string) {
	for _, p := range list {
		out = append(out, p.Name+"="+p.Version)
	}
	return out
}

func TestResolve(t *testing.T) {
	t.Parallel()
	r := smallRepo(t)
	c := r.client()
	ctx := t.Context()
	got, err := c.Resolve(ctx, []string{"app"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"app=1:2.0-1+b1", "kernel-6.12.9=6.12.9-1", "library=1.0", "meta-kernel=5"}
	if d := cmp.Diff(want, pins(got)); d != "" {
		t.Errorf("closure (-want +got):\n%s", d)
	}
	data, err := os.ReadFile(filepath.Join(r.dir, "library_1.0_amd64.deb"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	wantLib := recipes.LockedPackage{Name: "library", Version: "1.0", Arch: "amd64",
		SHA256: hex.EncodeToString(sum[:]), Size: int64(len(data))}
	if d := cmp.Diff(wantLib, got[2]); d != "" {
		t.Errorf("library (-want +got):\n%s", d)
	}

	got, err = c.ResolveOnly(ctx, []string{"app"})
	if err != nil || len(got) != 1 || got[0].Name != "app" {
		t.Errorf("ResolveOnly = %v, %v", got, err)
	}
	got, err = c.ResolveMatching(ctx, []string{"meta-kernel"}, regexp.MustCompile("^kernel-"))
	if err != nil || len(got) != 1 || got[0].Name != "kernel-6.12.9" {
		t.Errorf("ResolveMatching = %v, %v", got, err)
	}
	for series, want := range map[string]string{"": "linux-source-6.12", "6.1": "linux-source-6.1"} {
		got, err = c.KernelSource(ctx, series)
		if err != nil || len(got) != 1 || got[0].Name != want {
			t.Errorf("KernelSource(%q) = %v, %v", series, got, err)
		}
	}
}

func TestResolveErrors(t *testing.T) {
	t.Parallel()
	r := smallRepo(t)
	r.add("broken", "1", "Depends: not-there", "")
	r.index()
	c := r.client()
	resolve := func(names ...string) func(context.Context) error {
		return func(ctx context.Context) error { _, err := c.Resolve(ctx, names); return err }
	}
	for _, tt := range []struct {
		name, message, hint string
		run                 func(context.Context) error
	}{
		{"unknown", "no package librari", "did you mean library?", resolve("app", "librari")},
		{"regular expression", "no package linux-source-6.13", "linux-source-6.12", resolve("linux-source-6.13")},
		{"version", "version 3 of package library: no longer offered", "imgbuild lock", resolve("library=3")},
		{"virtual", "some-source is a virtual package", "linux-source-6.12", resolve("some-source")},
		{"unmet", "broken : Depends: not-there", "", resolve("broken")},
		{"option", `"--help" is not the name`, "", resolve("--help")},
		{"removal", `"library-" is not the name`, "", resolve("library-")},
		{"none", "no package is named", "", resolve()},
		{"only unknown", "no package apq", "did you mean app?", func(ctx context.Context) error {
			_, err := c.ResolveOnly(ctx, []string{"apq"})
			return err
		}},
		{"series", "no source of Linux 6.99", "6.1, 6.12", func(ctx context.Context) error {
			_, err := c.KernelSource(ctx, "6.99")
			return err
		}},
		{"no match", "leads to no package that matches", "", func(ctx context.Context) error {
			_, err := c.ResolveMatching(ctx, []string{"app"}, regexp.MustCompile("^x$"))
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantFault(t, tt.run(t.Context()), tt.message, tt.hint)
		})
	}
}

func wantFault(t *testing.T, err error, message, hint string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if !strings.Contains(err.Error(), message) {
		t.Errorf("error %q lacks %q", err, message)
	}
	if hints := strings.Join(fault.HintsOf(err), "\n"); !strings.Contains(hints, hint) {
		t.Errorf("hints %q lack %q", hints, hint)
	}
	if fault.KindOf(err) != fault.Input {
		t.Errorf("kind %d of %v, want fault.Input", fault.KindOf(err), err)
	}
}

func TestFetch(t *testing.T) {
	t.Parallel()
	r := smallRepo(t)
	c, s, ctx := r.client(), openStore(t), t.Context()
	locked, err := c.Resolve(ctx, []string{"app"})
	if err != nil {
		t.Fatal(err)
	}
	var last, total int64
	progress := func(d, n int64, u builder.Unit) { last, total = d, n }
	descs, err := c.Fetch(ctx, s, locked, progress)
	if err != nil {
		t.Fatal(err)
	}
	if last != total || total == 0 {
		t.Errorf("progress ended at %d of %d", last, total)
	}
	for i, d := range descs {
		blob, err := s.Open(ctx, d)
		if err != nil {
			t.Fatal(err)
		}
		info, err := Read(io.NewSectionReader(blob, 0, blob.Size()))
		blob.Close()
		if err != nil || info.Package != locked[i].Name || info.Version != locked[i].Version {
			t.Errorf("artifact %d is %+v, %v; want %s", i, info, err, locked[i].Name)
		}
	}
	// With all of it in the store, no source is asked.
	if err := os.RemoveAll(r.dir); err != nil {
		t.Fatal(err)
	}
	again, err := c.Fetch(ctx, s, locked, nil)
	if d := cmp.Diff(descs, again); err != nil || d != "" {
		t.Errorf("fetching again: %v\n%s", err, d)
	}
	leftovers, err := filepath.Glob(filepath.Join(c.o.CacheDir, "*", "fetch-*"))
	if err != nil || len(leftovers) > 0 {
		t.Errorf("left behind: %v, %v", leftovers, err)
	}
}

func TestFetchDrift(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.add("library", "1.0", "", "first\n")
	r.index()
	c, s, ctx := r.client(), openStore(t), t.Context()
	locked, err := c.Resolve(ctx, []string{"library"})
	if err != nil {
		t.Fatal(err)
	}

	t.Run("same version, other content", func(t *testing.T) {
		r.add("library", "1.0", "", "second\n")
		r.index()
		if err := c.Update(ctx); err != nil {
			t.Fatal(err)
		}
		_, err := c.Fetch(ctx, s, locked, nil)
		wantFault(t, err, "package library 1.0 differs from its lock", "imgbuild lock")
	})
	t.Run("superseded", func(t *testing.T) {
		if err := os.Remove(filepath.Join(r.dir, "library_1.0_amd64.deb")); err != nil {
			t.Fatal(err)
		}
		r.add("library", "1.1", "", "third\n")
		r.index()
		_, err := c.Fetch(ctx, s, locked, nil)
		wantFault(t, err, "version 1.0 of package library: no longer offered", "imgbuild lock")
	})
	t.Run("stale lists are refreshed", func(t *testing.T) {
		r.add("library", "1.2", "", "fourth\n")
		r.index()
		fresh := New(Options{CacheDir: t.TempDir(), SourcesList: r.list})
		locked, err := fresh.Resolve(ctx, []string{"library"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Fetch(ctx, s, locked, nil); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("malformed lock", func(t *testing.T) {
		_, err := c.Fetch(ctx, s, []recipes.LockedPackage{{Name: "library", Version: "1.2", SHA256: "x"}}, nil)
		wantFault(t, err, "the lock of package library", "")
	})
}

func TestSignature(t *testing.T) {
	t.Parallel()
	r := smallRepo(t)
	keyring := r.sign()
	r.source("")
	ctx := t.Context()
	with := func(keyring string) *Client {
		return New(Options{CacheDir: t.TempDir(), SourcesList: r.list, Keyring: keyring})
	}
	if got, err := with(keyring).Resolve(ctx, []string{"library"}); err != nil || len(got) != 1 {
		t.Fatalf("signed by the given key: %v, %v", got, err)
	}
	r.write("empty.gpg", "")
	_, err := with(filepath.Join(filepath.Dir(r.dir), "empty.gpg")).Resolve(ctx, []string{"library"})
	wantFault(t, err, "not signed by a trusted key", "keyring")

	tampered := filepath.Join(r.dir, "InRelease")
	text, err := os.ReadFile(tampered)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("Suite: test"), []byte("Suite: best"), 1)
	r.write("repo/InRelease", string(text))
	_, err = with(keyring).Resolve(ctx, []string{"library"})
	wantFault(t, err, "not signed by a trusted key", "keyring")
}

func TestSources(t *testing.T) {
	t.Parallel()
	r := smallRepo(t)
	ctx := t.Context()
	t.Run("one broken of two", func(t *testing.T) {
		var log bytes.Buffer
		r.write("sources.list", fmt.Sprintf("deb [trusted=yes] file:%s ./\ndeb [trusted=yes] file:%s/gone ./\n", r.dir, r.dir))
		c := New(Options{CacheDir: t.TempDir(), SourcesList: r.list, Log: hclog.New(&hclog.LoggerOptions{Output: &log})})
		if _, err := c.Resolve(ctx, []string{"library"}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(log.String(), "a package source has a problem") {
			t.Errorf("no warning in the log:\n%s", log.String())
		}
	})
	t.Run("all broken", func(t *testing.T) {
		r.write("sources.list", fmt.Sprintf("deb [trusted=yes] file:%s/gone ./\n", r.dir))
		_, err := r.client().Resolve(ctx, []string{"library"})
		if fault.KindOf(err) != fault.Input {
			t.Errorf("error %v", err)
		}
	})
	t.Run("unreachable", func(t *testing.T) {
		r.write("sources.list", "deb [trusted=yes] http://127.0.0.1:1/ ./\n")
		_, err := r.client().Resolve(ctx, []string{"library"})
		wantFault(t, err, "cannot be reached", "network")
	})
	t.Run("deb822", func(t *testing.T) {
		r.write("x.sources", fmt.Sprintf("Types: deb\nURIs: file:%s\nSuites: ./\nTrusted: yes\n", r.dir))
		c := New(Options{CacheDir: t.TempDir(), SourcesList: filepath.Join(filepath.Dir(r.dir), "x.sources")})
		if _, err := c.Resolve(ctx, []string{"library"}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("no list", func(t *testing.T) {
		_, err := New(Options{CacheDir: t.TempDir(), SourcesList: "/nowhere"}).Resolve(ctx, []string{"library"})
		if !errors.Is(err, fs.ErrNotExist) || fault.KindOf(err) != fault.Input {
			t.Errorf("error %v", err)
		}
	})
}

func TestAtOnce(t *testing.T) {
	t.Parallel()
	r := smallRepo(t)
	s := openStore(t)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			c := r.client()
			locked, err := c.Resolve(t.Context(), []string{"app"})
			if err == nil {
				_, err = c.Fetch(t.Context(), s, locked, nil)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestCancel(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := smallRepo(t).client().Resolve(ctx, []string{"app"})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

// TestMachine asks the sources of this machine for a real runtime, and checks
// that the machine's own package state stays as it is.
func TestMachine(t *testing.T) {
	if testing.Short() {
		t.Skip("downloads package lists")
	}
	need(t, "apt-get", "apt")
	before := snapshot(t)
	c := New(Options{CacheDir: t.TempDir()})
	got, err := c.Resolve(t.Context(), []string{"openjdk-17-jre-headless"})
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Join(pins(got), "\n")
	for _, want := range []string{"openjdk-17-jre-headless=", "libc6=", "zlib1g="} {
		if !strings.Contains(names, want) {
			t.Errorf("the closure lacks %s", want)
		}
	}
	small, err := c.ResolveOnly(t.Context(), []string{"zlib1g"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Fetch(t.Context(), openStore(t), small, nil); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, snapshot(t)); d != "" {
		t.Errorf("the machine's package state changed (-before +after):\n%s", d)
	}
}

// snapshot lists the files of the machine's apt and dpkg with their times.
func snapshot(t *testing.T) []string {
	var list []string
	for _, dir := range []string{"/var/lib/apt", "/var/cache/apt", "/var/lib/dpkg"} {
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				if fi, err := d.Info(); err == nil {
					list = append(list, fmt.Sprint(path, fi.Size(), fi.ModTime()))
				}
			}
			return nil
		})
	}
	return list
}
