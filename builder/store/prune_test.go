package store_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/builder/store"
	"github.com/imgbuild/imgbuild/flock"
)

// fill makes a store of two results that share a layer, a tree, and an artifact
// that nothing refers to, all used ages ago.
func fill(t *testing.T, dir string) (shared, only, lost ocispec.Descriptor) {
	t.Helper()
	s := open(t, dir)
	shared = put(t, s, ocispec.MediaTypeImageLayer, tarOf(t, "shared", string(make([]byte, 100))))
	upper := put(t, s, ocispec.MediaTypeImageLayer, tarOf(t, "upper", "u"))
	only = put(t, s, "text/plain", []byte("only one refers to this"))
	lost = put(t, s, "text/plain", []byte("nothing refers to this"))
	for name, out := range map[string]builder.Outputs{"one": {"a": shared, "b": only, "c": upper}, "two": {"a": shared}} {
		content := digest.FromString("content of " + name)
		for _, key := range []digest.Digest{digest.FromString(name), content} {
			if err := s.Record(t.Context(), key, out, store.Meta{Stage: name, Title: "Make " + name, Kind: "test", Content: content}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := s.Tree(t.Context(), shared); err != nil {
		t.Fatal(err)
	}
	// Its files are shared with the first one.
	if _, err := s.Tree(t.Context(), shared, upper); err != nil {
		t.Fatal(err)
	}
	if err := s.Remember("one", "x"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	age(t, dir, 10*24*time.Hour)
	return shared, only, lost
}

// age makes everything in a store look as if it was used long ago.
func age(t *testing.T, dir string, by time.Duration) {
	t.Helper()
	then := time.Now().Add(-by)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(path, then, then)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// has reports which of the artifacts are there.
func has(t *testing.T, s *store.Store, descs ...ocispec.Descriptor) []bool {
	t.Helper()
	var got []bool
	for _, d := range descs {
		b, err := s.Open(t.Context(), d)
		if err == nil {
			b.Close()
		}
		got = append(got, err == nil)
	}
	return got
}

func TestPrune(t *testing.T) {
	key := digest.FromString("two")
	tests := []struct {
		name  string
		opts  store.PruneOptions
		use   bool // result two is used before
		freed store.Freed
		left  []bool // shared, only, lost
	}{
		{"what nothing refers to", store.PruneOptions{}, false, store.Freed{Artifacts: 1}, []bool{true, true, false}},
		{"by age, none so old", store.PruneOptions{MaxAge: 11 * 24 * time.Hour}, false, store.Freed{Artifacts: 1}, []bool{true, true, false}},
		{"by age", store.PruneOptions{MaxAge: 24 * time.Hour}, false, store.Freed{Artifacts: 4, Results: 4, Trees: 2}, []bool{false, false, false}},
		{"by age, one was used", store.PruneOptions{MaxAge: 24 * time.Hour}, true, store.Freed{Artifacts: 3, Results: 3, Trees: 2}, []bool{true, false, false}},
		{"by size", store.PruneOptions{MaxBytes: 1}, true, store.Freed{Artifacts: 3, Results: 3, Trees: 2}, []bool{true, false, false}},
		{"by size, there is room", store.PruneOptions{MaxBytes: 1 << 40}, false, store.Freed{Artifacts: 1}, []bool{true, true, false}},
		{"all", store.PruneOptions{All: true}, false, store.Freed{Artifacts: 4, Results: 4, Trees: 2}, []bool{false, false, false}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			shared, only, lost := fill(t, dir)
			s := open(t, dir)
			if test.use {
				if _, ok, err := s.Lookup(t.Context(), key); !ok || err != nil {
					t.Fatal(ok, err)
				}
			}
			before, err := s.Usage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			freed, err := s.Prune(t.Context(), test.opts)
			if err != nil {
				t.Fatal(err)
			}
			after, err := s.Usage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if before.Total()-after.Total() != freed.Bytes || freed.Bytes <= 0 {
				t.Errorf("from %d to %d bytes by freeing %d", before.Total(), after.Total(), freed.Bytes)
			}
			freed.Bytes = 0
			if diff := cmp.Diff(test.freed, freed); diff != "" {
				t.Errorf("freed (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.left, has(t, s, shared, only, lost)); diff != "" {
				t.Errorf("left (-want +got):\n%s", diff)
			}
			if _, ok, err := s.Lookup(t.Context(), key); err != nil || ok != test.left[0] {
				t.Errorf("result two: %v %v", ok, err)
			}
		})
	}
}

// TestPruneWhileInUse prunes while another process has the store open: what it
// used or made stays, although nothing refers to it yet.
func TestPruneWhileInUse(t *testing.T) {
	dir := t.TempDir()
	shared, only, lost := fill(t, dir)
	builds := open(t, dir)
	made := put(t, builds, "text/plain", []byte("just made"))
	put(t, builds, "text/plain", []byte("nothing refers to this")) // made again, so used
	tree, err := builds.Tree(t.Context(), shared)
	if err != nil {
		t.Fatal(err)
	}
	half, err := builds.Create(t.Context(), "text/plain")
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	scratch, remove, err := builds.Scratch("stage")
	if err != nil {
		t.Fatal(err)
	}
	defer remove()

	prunes := open(t, dir)
	freed, err := prunes.Prune(t.Context(), store.PruneOptions{All: true})
	if err != nil {
		t.Fatal(err)
	}
	if freed.Artifacts != 3 || freed.Trees != 1 {
		t.Errorf("freed %+v", freed)
	}
	if diff := cmp.Diff([]bool{true, true, false, false}, has(t, builds, made, lost, only, shared)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	for _, path := range []string{scratch, filepath.Join(tree, "shared")} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	if _, err := half.Write([]byte("half")); err != nil {
		t.Error(err)
	}
	if _, err := half.Commit(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestPruneFolders removes the folders of others by their lock's time, unless
// somebody has the lock.
func TestPruneFolders(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"old", "held", "new", "unlocked"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"lock", "data"} {
			if name == "unlocked" && file == "lock" {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, name, file), make([]byte, 5000), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	age(t, dir, 10*24*time.Hour)
	now := time.Now()
	if err := os.Chtimes(filepath.Join(dir, "new", "lock"), now, now); err != nil {
		t.Fatal(err)
	}
	held, err := flock.Try(filepath.Join(dir, "held", "lock"), flock.Shared)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	s := open(t, dir)
	list, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Kind+" "+e.Stage)
	}
	if diff := cmp.Diff([]string{"folder new", "folder old", "folder held"}, names); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	before, err := s.Usage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	freed, err := s.Prune(t.Context(), store.PruneOptions{All: true})
	if err != nil {
		t.Fatal(err)
	}
	after, err := s.Usage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if freed.Folders != 1 || freed.Bytes < 10000 || before.Folders-after.Folders != freed.Bytes {
		t.Errorf("freed %+v, from %+v to %+v", freed, before, after)
	}
	for name, want := range map[string]bool{"old": false, "held": true, "new": true, "unlocked": true} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s is there: %v", name, err == nil)
		}
	}
}

// TestPruneImage keeps what a manifest and an index refer to.
func TestPruneImage(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(dir, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	layer := put(t, s, ocispec.MediaTypeImageLayer, tarOf(t, "f", "x"))
	config := put(t, s, ocispec.MediaTypeImageConfig, []byte("{}"))
	manifest := put(t, s, ocispec.MediaTypeImageManifest, asJSON(t, ocispec.Manifest{Config: config, Layers: []ocispec.Descriptor{layer}}))
	elsewhere := manifest // of a platform that was not fetched
	elsewhere.Digest = digest.FromString("elsewhere")
	index := put(t, s, ocispec.MediaTypeImageIndex, asJSON(t, ocispec.Index{Manifests: []ocispec.Descriptor{elsewhere, manifest}}))
	if err := s.Record(t.Context(), digest.FromString("k"), builder.Outputs{"image": index}, store.Meta{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	age(t, dir, time.Hour)
	s = open(t, dir)
	if _, err := s.Prune(t.Context(), store.PruneOptions{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]bool{true, true, true, true}, has(t, s, layer, config, manifest, index)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func TestList(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir)
	s := open(t, dir)
	if _, _, err := s.Lookup(t.Context(), digest.FromString("two")); err != nil {
		t.Fatal(err)
	}
	entries, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]int)
	for _, e := range entries {
		if e.Size <= 0 || e.Key.Validate() != nil {
			t.Errorf("entry %+v", e)
		}
		got[e.Kind+" "+e.Stage]++
	}
	if diff := cmp.Diff(map[string]int{"result one": 1, "result two": 1, "tree ": 2}, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if entries[0].Stage != "two" || time.Since(entries[0].Used) > time.Hour || time.Since(entries[1].Used) < time.Hour {
		t.Errorf("not by use: %+v", entries)
	}
}

// TestTrees shares files between trees, and unpacks nothing twice.
func TestTrees(t *testing.T) {
	s := open(t, t.TempDir())
	const deb = "application/vnd.debian.binary-package"
	base := put(t, s, ocispec.MediaTypeImageLayer, tarOf(t, "usr/", "", "usr/base", "b"))
	p, q := put(t, s, deb, debOf(tarOf(t, "usr/p", "p"))), put(t, s, deb, debOf(tarOf(t, "usr/q", "q")))
	tree := func(layers ...ocispec.Descriptor) string {
		t.Helper()
		dir, err := s.Tree(t.Context(), layers...)
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
	shares := func(path, dir, other string) {
		t.Helper()
		a, errA := os.Stat(filepath.Join(dir, path))
		b, errB := os.Stat(filepath.Join(other, path))
		if err := errors.Join(errA, errB); err != nil {
			t.Fatal(err)
		}
		if !os.SameFile(a, b) {
			t.Errorf("%s is not shared", path)
		}
	}
	basic, alone := tree(base), tree(q)
	all := tree(base, p, q)
	shares("usr/base", all, basic)
	shares("usr/q", all, alone)
	middle := put(t, s, ocispec.MediaTypeImageLayer, tarOf(t, "usr/middle", "m"))
	top, other := put(t, s, ocispec.MediaTypeImageLayer, tarOf(t, "usr/top", "1")), put(t, s, ocispec.MediaTypeImageLayer, tarOf(t, "usr/top", "2"))
	shares("usr/middle", tree(base, middle, top), tree(base, middle, other))
	if _, err := os.Stat(filepath.Join(all, "usr/p")); err != nil {
		t.Error(err)
	}
	if names, err := os.ReadDir(filepath.Join(basic, "usr")); err != nil || len(names) != 1 {
		t.Errorf("the first tree changed: %v %v", names, err)
	}
	if tree(base, p, q) != all || tree(base, q, p) == all {
		t.Error("a tree is not known by its layers, in order")
	}
	if dir := tree(); dir == "" {
		t.Error("no layers make no tree")
	}
}
