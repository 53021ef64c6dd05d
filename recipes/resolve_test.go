package recipes

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/imgbuild/imgbuild/fault"
)

// folder writes files into a new folder, which it returns.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func resolve(t *testing.T, dir string, set ...string) *Resolved {
	t.Helper()
	r, err := Resolve(Options{Path: filepath.Join(dir, "recipe.yaml"), Set: set})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const minimal = "apiVersion: imgbuild/v1\nname: min_1\nruntime: {jvm: {}}\napp: {jar: app.jar}\n"

func TestDefaults(t *testing.T) {
	dir := folder(t, map[string]string{"recipe.yaml": minimal, "app.jar": ""})
	want := Recipe{
		APIVersion: APIVersion, Name: "min_1", Version: "0.0.0", Platform: "linux/amd64",
		Kernel: Kernel{Universal: &UniversalKernel{Series: "6.12"}},
		Runtime: Runtime{JVM: &JVM{
			JDK: JDK{Package: "openjdk-17-jdk-headless"}, Modules: Modules{Auto: true},
			CDS: CDS{Mode: "default"}, Profile: "balanced", TrustStore: "system",
		}},
		App: App{Jar: filepath.Join(dir, "app.jar"), WorkDir: "/", User: "app", UID: 10001, GID: 10001},
		Guest: Guest{
			Memory: 256 << 20, CPUs: 1, Hostname: "min-1", Timezone: "UTC",
			Restart: "never", OnExit: "poweroff", Isolation: "standard", StopTimeout: Duration(10e9),
		},
		Network:  Network{Mode: "dhcp"},
		Disk:     Disk{Root: RootFS{Filesystem: "erofs", Compression: "lz4"}},
		Sanitize: Sanitize{Policy: "default"},
		Outputs:  []Output{{Format: "raw"}},
	}
	if diff := cmp.Diff(want, resolve(t, dir).Recipe); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	trained := resolve(t, dir, "runtime.jvm.cds.train.exit=true", "disk.root.filesystem=squashfs", "app.uid=0").Recipe
	if got := trained.Runtime.JVM.CDS; got.Mode != "app" || got.Train.Timeout != DefaultTimeout {
		t.Errorf("trained: %+v", got)
	}
	if trained.Disk.Root.Compression != "zstd" || trained.App.UID != 0 {
		t.Errorf("squashfs %+v, uid %d", trained.Disk.Root, trained.App.UID)
	}
}

func TestMissingInputs(t *testing.T) {
	dir := folder(t, map[string]string{"lib/a.jar": "", "hello.jar": "", "recipe.yaml": minimal + `
kernel: {file: bzImage}
sources: {apt: {list: sources.list}}
files: [{path: /a, source: a}, {path: /b, source: lib}]
`})
	path := filepath.Join(dir, "recipe.yaml")
	_, err := Resolve(Options{Path: path, Set: []string{"app.jar=" + dir + "/helo.jar", "app.classPath=[" + dir + "/lib/*.jar, " + dir + "/lib/*.zip]", "runtime.jvm.jdk.path=" + path}})
	var list Errors
	if !errors.As(err, &list) || fault.KindOf(err) != fault.Input {
		t.Fatalf("got %v", err)
	}
	var at []string
	for _, e := range list {
		at = append(at, e.Path)
	}
	slices.Sort(at)
	want := []string{"app.classPath[1]", "app.jar", "files[0].source", "kernel.file", "runtime.jvm.jdk.path", "sources.apt.list"}
	if diff := cmp.Diff(want, at); diff != "" {
		t.Errorf("(-want +got):\n%s\n%v", diff, err)
	}
	if !strings.Contains(err.Error(), "did you mean `hello.jar`?") {
		t.Errorf("no hint: %v", err)
	}
	if _, err := Resolve(Options{Path: path, AllowMissing: true}); err != nil {
		t.Errorf("AllowMissing: %v", err)
	}
	_, err = Resolve(Options{Path: filepath.Join(dir, "none.yaml")})
	if fault.KindOf(err) != fault.Input || !errors.Is(err, fs.ErrNotExist) && !strings.Contains(err.Error(), "no such file") {
		t.Errorf("no recipe: %v", err)
	}
}

func TestPackagedClassPath(t *testing.T) {
	dir := folder(t, map[string]string{"lib/a.jar": "", "recipe.yaml": minimal})
	r := resolve(t, dir, "app.jar="+dir+"/lib/a.jar", "app.packages=[{name: libx-java}]", "app.classPath=[/usr/share/java/x.jar]")
	if !r.FromPackages("/usr/share/java/x.jar") || r.FromPackages(r.Recipe.App.Jar) {
		t.Errorf("class path %v", r.Recipe.App.ClassPath)
	}
	if diff := cmp.Diff([]string{r.Recipe.App.Jar}, r.LocalFiles()); diff != "" {
		t.Errorf("local files (-want +got):\n%s", diff)
	}
}

func TestLocalImages(t *testing.T) {
	tests := []struct{ value, before, path, behind string }{
		{"docker.io/nginx:1", "", "", ""},
		{"oci:a/b", "oci:", "a/b", ""},
		{"oci:a/b:tag", "oci:", "a/b", ":tag"},
		{"oci:a:b/c", "oci:", "a:b/c", ""},
		{"archive:x.tar", "archive:", "x.tar", ""},
	}
	for _, test := range tests {
		before, path, behind := localPart("image", test.value)
		if before != test.before || path != test.path || behind != test.behind {
			t.Errorf("%s: %q %q %q", test.value, before, path, behind)
		}
	}
}

// TestCheckoutsAgree resolves the same files in two places.
func TestCheckoutsAgree(t *testing.T) {
	files := map[string]string{"d/recipe.yaml": "include: [../base.yaml]\n", "base.yaml": minimal, "app.jar": ""}
	var digests, printed []string
	for range 2 {
		dir := folder(t, files)
		r := resolve(t, filepath.Join(dir, "d"))
		data, err := json.Marshal(r.portable)
		if err != nil {
			t.Fatal(err)
		}
		digests, printed = append(digests, r.Digest), append(printed, string(data))
		if r.Recipe.App.Jar != filepath.Join(dir, "app.jar") {
			t.Errorf("jar %s", r.Recipe.App.Jar)
		}
	}
	if digests[0] != digests[1] || printed[0] != printed[1] || strings.Contains(printed[0], os.TempDir()) {
		t.Errorf("two checkouts differ: %v\n%v", digests, printed)
	}
}

func TestDigestScope(t *testing.T) {
	dir := folder(t, map[string]string{"app.jar": "", "recipe.yaml": minimal})
	base := resolve(t, dir).Digest
	for _, flag := range []string{"description=x", "vendor=x", "outputs=[qcow2]", "test=[{exit: {}}]", "vars.a=1", "guest.cpus=1"} {
		if resolve(t, dir, flag).Digest != base {
			t.Errorf("%s changes the digest", flag)
		}
	}
	for _, flag := range []string{"name=y", "version=2", "guest.cpus=2", "app.args=[x]", "disk.root.size=1GiB", "app.uid=0"} {
		if resolve(t, dir, flag).Digest == base {
			t.Errorf("%s does not change the digest", flag)
		}
	}
}

// TestResolvedRoundTrip prints what was resolved and reads it again: the
// digest and the printed values must be the same. It does so for every good
// recipe and for drawn overrides.
func TestResolvedRoundTrip(t *testing.T) {
	for _, path := range goodRecipes(t) {
		first, err := Resolve(Options{Path: path, AllowMissing: true})
		if err != nil {
			t.Fatal(err)
		}
		checkRoundTrip(t, first)
		var back Recipe
		data, err := canonical(first.portable)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		again, err := canonical(back)
		if err != nil || !bytes.Equal(data, again) {
			t.Errorf("%s: JSON does not read back: %v\n%s\n%s", path, err, data, again)
		}
	}
}

// checkRoundTrip prints r beside its recipe, so that paths mean the same.
func checkRoundTrip(t interface {
	Fatal(...any)
	Errorf(string, ...any)
}, r *Resolved) {
	var b bytes.Buffer
	if err := WriteResolved(&b, r); err != nil {
		t.Fatal(err)
	}
	p := &problems{}
	src := newSource("printed.yaml", r.Dir, b.Bytes())
	root := parseYAML(src, b.Bytes(), p)
	if root == nil {
		t.Fatal(p.err(fault.Recipe))
	}
	d := decodeRoot(root, p)
	if err := p.err(fault.Recipe); err != nil {
		t.Fatal(err, b.String())
	}
	second := &Resolved{Dir: r.Dir}
	if err := second.finish(d, root); err != nil {
		t.Fatal(err)
	}
	if second.Digest != r.Digest {
		t.Errorf("the printed recipe has another digest:\n%s", &b)
	}
	if diff := cmp.Diff(r.portable, second.portable, cmp.Comparer(func(a, b Output) bool {
		x, _ := json.Marshal(a)
		y, _ := json.Marshal(b)
		return bytes.Equal(x, y)
	})); diff != "" {
		t.Errorf("(-resolved +read again):\n%s", diff)
	}
}

// TestResolveProperties draws recipes: resolving is deterministic, whatever
// the order of keys, and what is printed reads back.
func TestResolveProperties(t *testing.T) {
	dir := folder(t, map[string]string{"app.jar": ""})
	text := rapid.String().Filter(func(s string) bool { return !strings.ContainsRune(s, 0) })
	rapid.Check(t, func(t *rapid.T) {
		keys := map[string]any{
			"apiVersion":  APIVersion,
			"name":        rapid.StringMatching(`[a-z0-9][a-z0-9._-]{0,20}`).Draw(t, "name"),
			"description": strings.ReplaceAll(text.Draw(t, "description"), "${", "$${"),
			"runtime":     map[string]any{"jvm": map[string]any{}},
			"app": map[string]any{
				"jar":  "app.jar",
				"args": escapeAll(rapid.SliceOfN(text, 0, 4).Draw(t, "args")),
				"env":  map[string]string{"A": strings.ReplaceAll(text.Draw(t, "env"), "${", "$${")},
			},
			"guest": map[string]any{"memory": rapid.Int64Range(0, 1<<50).Draw(t, "memory")},
		}
		order := rapid.Permutation(slices.Sorted(maps.Keys(keys))).Draw(t, "order")
		var b bytes.Buffer
		for _, key := range order {
			value, err := json.Marshal(keys[key])
			if err != nil {
				t.Fatal(err)
			}
			b.WriteString(key + ": " + string(value) + "\n")
		}
		path := filepath.Join(dir, "recipe.yaml")
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := Resolve(Options{Path: path})
		if err != nil {
			t.Fatal(err, b.String())
		}
		sorted := bytes.Join(slices.SortedFunc(slices.Values(bytes.SplitAfter(b.Bytes(), []byte("\n"))), bytes.Compare), nil)
		if err := os.WriteFile(path, sorted, 0o644); err != nil {
			t.Fatal(err)
		}
		again, err := Resolve(Options{Path: path})
		if err != nil || again.Digest != r.Digest {
			t.Fatalf("another order of keys has another digest: %v", err)
		}
		if got := escapeAll(r.Recipe.App.Args); !slices.Equal(got, keys["app"].(map[string]any)["args"].([]string)) {
			t.Fatalf("args %q became %q", keys["app"], got)
		}
		checkRoundTrip(t, r)
	})
}

func escapeAll(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = strings.ReplaceAll(s, "${", "$${")
	}
	return out
}
