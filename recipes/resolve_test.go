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
			Restart: "never", OnExit: "poweroff", StopTimeout: Duration(10e9),
		},
		Network:  Network{Mode: "dhcp"},
		Disk:     Disk{Root: RootFS{Filesystem: "erofs", Compression: "lz4hc"}},
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

func TestIncludes(t *testing.T) {
	dir := folder(t, map[string]string{
		"recipe.yaml":           "include: [shared/base.yaml, shared/more.yaml]\nname: top\nkernel: {package: linux-image-cloud-amd64}\nguest: {cpus: 2}\noutputs: [qcow2]\n",
		"shared/base.yaml":      minimal + "kernel: {universal: {series: 6.1}, cmdline: [quiet]}\nguest: {memory: 1GiB, cpus: 4}\noutputs: [raw, ova]\nvars: {a: base}\n",
		"shared/more.yaml":      "include: [deep/last.yaml]\nvendor: ${a}\nvars: {a: more}\n",
		"shared/deep/last.yaml": "files: [{path: /x, source: x}]\nvendor: lost\n",
		"shared/deep/x":         "",
		"shared/app.jar":        "",
	})
	r := resolve(t, dir)
	got := r.Recipe
	if got.Name != "top" || got.Vendor != "more" || got.Guest.CPUs != 2 || got.Guest.Memory != 1<<30 {
		t.Errorf("scalars: %+v", got)
	}
	if k := got.Kernel; k.Universal != nil || k.Package == "" || len(k.Cmdline) != 1 {
		t.Errorf("a kernel in the recipe must replace that of its include: %+v", k)
	}
	if len(got.Outputs) != 1 || got.Outputs[0].Format != "qcow2" {
		t.Errorf("lists replace: %+v", got.Outputs)
	}
	if got.App.Jar != filepath.Join(dir, "shared/app.jar") || got.Files[0].Source != filepath.Join(dir, "shared/deep/x") {
		t.Errorf("paths start at the file they are written in: %s, %s", got.App.Jar, got.Files[0].Source)
	}
	if o := r.Origin("guest.memory"); o.File != filepath.Join(dir, "shared/base.yaml") || o.Line != 6 || o.Col != 17 {
		t.Errorf("origin %v", o)
	}
	if o := r.Origin("guest.hostname"); o.String() != "default" {
		t.Errorf("origin %v", o)
	}
	var b bytes.Buffer
	if err := WriteResolved(&b, r); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "jar: shared/app.jar") {
		t.Errorf("the printed form must have paths relative to the recipe:\n%s", &b)
	}
}

func TestIncludeErrors(t *testing.T) {
	tests := map[string]struct {
		files map[string]string
		want  string
	}{
		"cycle":    {map[string]string{"recipe.yaml": "include: [a.yaml]\n", "a.yaml": "include: [recipe.yaml]\n"}, "a.yaml:1:11: recipe.yaml includes itself: recipe.yaml → a.yaml → recipe.yaml"},
		"missing":  {map[string]string{"recipe.yaml": "include:\n  - none.yaml\n"}, "recipe.yaml:2:5: including none.yaml: no such file"},
		"variable": {map[string]string{"recipe.yaml": "include: ['${a}.yaml']\n"}, "cannot hold variables"},
		"scalar":   {map[string]string{"recipe.yaml": "include: a.yaml\n"}, "is a list of files"},
		"folder":   {map[string]string{"recipe.yaml": "include: [.]\n"}, "recipe.yaml:1:11: including ."},
		"inside":   {map[string]string{"recipe.yaml": "include: [a.yaml]\n" + minimal, "a.yaml": "\nguest: {cpu: 1}\n"}, "a.yaml:2:9: unknown key `cpu`"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := folder(t, test.files)
			_, err := Resolve(Options{Path: filepath.Join(dir, "recipe.yaml")})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			if kind := fault.KindOf(err); kind != fault.Recipe {
				t.Errorf("kind %d", kind)
			}
		})
	}
	deep := map[string]string{"recipe.yaml": "include: [1.yaml]\n"}
	for i := 1; i < 20; i++ {
		deep[string(rune('0'+i))+".yaml"] = "include: ['" + string(rune('1'+i)) + ".yaml']\n"
	}
	if _, err := Resolve(Options{Path: filepath.Join(folder(t, deep), "recipe.yaml")}); err == nil || !strings.Contains(err.Error(), "levels of files") {
		t.Errorf("deep includes: %v", err)
	}
}

func TestOverrides(t *testing.T) {
	dir := folder(t, map[string]string{"app.jar": "", "recipe.yaml": minimal + `
vars: {port: 8080}
outputs: [raw, {ova: {hypervisor: vmware}}]
test: [{http: {port: "${port}"}}]
`})
	r := resolve(t, dir, "vars.port=9090", "runtime.jvm.profile=fast-start", "outputs[0]=qcow2", "outputs[2]={xen: {a: 1}}",
		"outputs[1].ova.hypervisor=vbox", "test[0].http.path=/x", `guest.sysctl["vm.swappiness"]=10`, "app.args=[1, two]",
		"kernel.package=linux-image-amd64", "description=", "guest.cpus=2", "guest.cpus=3").Recipe
	want := []Output{{Format: "qcow2"}, {Format: "ova", Options: map[string]any{"hypervisor": "vbox"}}, {Format: "xen", Options: map[string]any{"a": int64(1)}}}
	if diff := cmp.Diff(want, r.Outputs); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
	if h := r.Test[0].HTTP; h.Port != 9090 || h.Path != "/x" {
		t.Errorf("test: %+v", h)
	}
	if r.Runtime.JVM.Profile != "fast-start" || r.Kernel.Universal != nil || r.Guest.Sysctl["vm.swappiness"] != "10" || r.Guest.CPUs != 3 {
		t.Errorf("%+v", r)
	}
	if diff := cmp.Diff([]string{"1", "two"}, r.App.Args); diff != "" {
		t.Error(diff)
	}
	origin := resolve(t, dir, "guest.cpus=2").Origin("guest.cpus").String()
	if origin != "--set guest.cpus=2" {
		t.Errorf("origin %q", origin)
	}
}

func TestOverrideErrors(t *testing.T) {
	dir := folder(t, map[string]string{"app.jar": "", "recipe.yaml": minimal})
	tests := []struct{ flag, want string }{
		{"app.prots=[1]", "--set app.prots=[1]: unknown key `prots` in app\n  hint: did you mean `ports`?"},
		{"app.ports=80", "--set app.ports=80: `app.ports` is a list, found the number 80"},
		{"app.ports=[0]", "--set app.ports=[0]: `app.ports[0]` is 0"},
		{"app.ports=[", "--set app.ports=[: not valid YAML"},
		{"app", "an override is a path and a value"},
		{"=1", "an override is a path and a value"},
		{"app..jar=1", "is not a path"},
		{"[0]=1", "is not a path"},
		{"outputs[2]=raw", "the list has 0 items"},
		{"include=[a]", "cannot be overridden"},
		{"name=${x}", "--set name=${x}: the variable `x` is not defined"},
	}
	for _, test := range tests {
		_, err := Resolve(Options{Path: filepath.Join(dir, "recipe.yaml"), Set: []string{test.flag}})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.flag, err, test.want)
			continue
		}
		if fault.KindOf(err) != fault.Recipe {
			t.Errorf("%s: kind %d", test.flag, fault.KindOf(err))
		}
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
