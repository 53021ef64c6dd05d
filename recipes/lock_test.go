package recipes

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/fault"
)

func hexOf(c string) string { return strings.Repeat(c, 64) }

func exampleLock() *Lock {
	return &Lock{
		Version: LockVersion,
		Packages: map[string][]LockedPackage{"openjdk-17-jdk-headless": {
			{Name: "zlib1g", Version: "1:1.2.13", Arch: "amd64", SHA256: hexOf("2"), Size: 86},
			{Name: "libc6", Version: "2.36-9", Arch: "amd64", SHA256: hexOf("1"), Size: 2754},
		}},
		Files:   map[string]LockedFile{"hello.jar": {SHA256: hexOf("a"), Size: 10}, "b<&>": {SHA256: hexOf("b")}},
		Images:  map[string]LockedImage{"nginx:1": {Digest: "sha256:" + hexOf("c")}},
		Classes: &LockedClasses{Key: "k", List: []string{"b/B", "a/A"}},
	}
}

func TestLockRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recipe.lock.json")
	lock := exampleLock()
	if err := WriteLock(path, lock); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/recipe.lock.json", data)
	read, err := ReadLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if read.Packages["openjdk-17-jdk-headless"][0].Name != "libc6" || read.Classes.List[0] != "a/A" {
		t.Errorf("not sorted: %+v", read)
	}
	if lines := lock.Diff(read); len(lines) != 0 {
		t.Errorf("differs from itself: %v", lines)
	}
	if lock.Packages["openjdk-17-jdk-headless"][0].Name != "zlib1g" {
		t.Error("WriteLock changed the lock it was given")
	}
}

func TestReadLockErrors(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"syntax":   {"{\n\"version\": 1,\n}", "line 3: invalid character"},
		"type":     {"{\"version\": 1,\n\"files\": []}", "line 2: json: cannot unmarshal array"},
		"version":  {`{"version": 2}`, "the lock has version 2; this program reads version 1"},
		"unknown":  {`{"version": 1, "hosts": {}}`, `unknown field "hosts"`},
		"digest":   {`{"version": 1, "files": {"a": {"sha256": "AB"}}}`, "file a lacks a sha256"},
		"image":    {`{"version": 1, "images": {"a": {"digest": "latest"}}}`, "image a lacks a digest"},
		"package":  {`{"version": 1, "packages": {"g": [{"name": "p"}]}}`, "packages of g: package 0 (p) lacks"},
		"unsorted": {`{"version": 1, "classes": {"key": "", "list": ["b", "a"]}}`, "not sorted"},
		"trailing": {`{"version": 1} {}`, "after top-level value"},
		"empty":    {``, "unexpected end"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "recipe.lock.json")
			if err := os.WriteFile(path, []byte(test.text), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := ReadLock(path)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			if fault.KindOf(err) != fault.Input || len(fault.HintsOf(err)) == 0 {
				t.Errorf("kind %d, hints %v", fault.KindOf(err), fault.HintsOf(err))
			}
		})
	}
	if _, err := ReadLock(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
}

func TestLockDiff(t *testing.T) {
	lock, found := exampleLock(), exampleLock()
	group := "openjdk-17-jdk-headless"
	found.Packages[group] = []LockedPackage{
		{Name: "libc6", Version: "2.36-10", Arch: "amd64", SHA256: hexOf("3"), Size: 2754},
		{Name: "zlib1g", Version: "1:1.2.13", Arch: "amd64", SHA256: hexOf("4"), Size: 86},
		{Name: "new", Version: "1", Arch: "all", SHA256: hexOf("5"), Size: 1},
	}
	found.Files = map[string]LockedFile{"hello.jar": {SHA256: hexOf("d"), Size: 10}}
	found.Images["nginx:1"] = LockedImage{Digest: "sha256:" + hexOf("e")}
	found.Classes = &LockedClasses{Key: "other"}
	want := []string{
		group + ": libc6:amd64: locked 2.36-9, found 2.36-10",
		group + ": new:all: not locked, found 1",
		group + ": zlib1g:amd64: locked 1:1.2.13 with sha256 222222222222…, found 1:1.2.13 with sha256 444444444444…",
		"b<&>: locked sha256 bbbbbbbbbbbb…, not used any more",
		"hello.jar: locked sha256 aaaaaaaaaaaa…, found sha256 dddddddddddd…",
		"nginx:1: locked digest cccccccccccc…, found digest eeeeeeeeeeee…",
		"classes: the locked list was trained for another app, JDK or training run",
	}
	if diff := cmp.Diff(want, lock.Diff(found)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := lock.Check(found); fault.KindOf(err) != fault.Input || !strings.Contains(err.Error(), "hello.jar: locked") {
		t.Errorf("Check: %v", err)
	}
	if err := lock.Check(lock); err != nil {
		t.Errorf("Check of itself: %v", err)
	}
}

func TestLockPath(t *testing.T) {
	for in, want := range map[string]string{"recipe.yaml": "recipe.lock.json", "a/b.yml": "a/b.lock.json", "Recipe": "Recipe.lock.json", "a.b": "a.b.lock.json"} {
		if got := LockPath(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func FuzzLock(f *testing.F) {
	f.Add([]byte(`{"version": 1, "files": {"a": {"sha256": "` + hexOf("a") + `", "size": 1}}}`))
	f.Add([]byte(`{"version": 1, "classes": null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := parseLock(data)
		if err != nil {
			return
		}
		path := filepath.Join(t.TempDir(), "lock")
		if err := WriteLock(path, l); err != nil {
			t.Fatal(err)
		}
		again, err := ReadLock(path)
		if err != nil {
			t.Fatal(err)
		}
		if lines := l.Diff(again); len(lines) > 0 && len(l.Packages) == 0 {
			t.Errorf("differs after writing: %v", lines)
		}
	})
}
