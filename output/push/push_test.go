package push_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/push"
)

// run pushes what must go well.
func run(t *testing.T, o push.Options) *push.Result {
	t.Helper()
	r, err := push.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// exported is an archive as the oci output writes it.
func exported(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hello.oci.tar")
	if err := outputtest.Tree(t).Export(t.Context(), path, "docker.io/library/hello:1.0.0"); err != nil {
		t.Fatal(err)
	}
	return path
}

// write makes a file.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// skopeo runs it against a registry without TLS.
func skopeo(t *testing.T, args ...string) string {
	t.Helper()
	return disktest.Run(t, disktest.Program(t, "skopeo", "skopeo"), append([]string{"--insecure-policy", "--tmpdir", t.TempDir()}, args...)...)
}

// inspect lets skopeo describe an image in a registry.
func inspect(t *testing.T, ref string) (image struct {
	Digest   string
	RepoTags []string
	Layers   []string
}) {
	t.Helper()
	if err := json.Unmarshal([]byte(skopeo(t, "inspect", "--tls-verify=false", "docker://"+ref)), &image); err != nil {
		t.Fatal(err)
	}
	return image
}

// manifest reads the manifest of an artifact in a registry.
func manifest(t *testing.T, ref string) (m ocispec.Manifest) {
	t.Helper()
	if err := json.Unmarshal([]byte(skopeo(t, "inspect", "--raw", "--tls-verify=false", "docker://"+ref)), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestImages pushes one image in all its forms. skopeo reads it back, which
// checks every digest.
func TestImages(t *testing.T) {
	repo := outputtest.Registry(t, "") + "/team/hello"
	dir := t.TempDir()
	made := exported(t)
	skopeo(t, "copy", "--preserve-digests", "oci-archive:"+made, "oci:"+dir+"/layout:1")
	skopeo(t, "copy", "--preserve-digests", "oci-archive:"+made, "oci:"+dir+"/layout:2")
	skopeo(t, "copy", "oci-archive:"+made, "docker-archive:"+dir+"/saved.tar:team/hello:7")
	linked := relinked(t, dir+"/saved.tar")
	digests := map[string]string{}
	for tag, path := range map[string]string{
		"linked": linked, "linked-tagged": linked + ":7",
		"archive": made, "folder": dir + "/layout", "tagged": dir + "/layout:1", "saved": dir + "/saved.tar", "saved-tagged": dir + "/saved.tar:7",
	} {
		var done, total int64
		o := push.Options{Paths: []string{path}, Reference: repo + ":" + tag, Progress: func(d, n int64) { done, total = d, n }}
		r := run(t, o)
		digests[tag] = r.Digest
		if want := repo + ":" + tag + "@" + r.Digest; r.Reference != want {
			t.Errorf("%s: pushed as %s, not %s", tag, r.Reference, want)
		}
		if done != total || total != r.Size || r.Size < 1000 {
			t.Errorf("%s: %d of %d bytes are done, it has %d", tag, done, total, r.Size)
		}
		if got := inspect(t, repo+":"+tag); got.Digest != r.Digest || len(got.Layers) != 2 {
			t.Errorf("%s: skopeo says %+v", tag, got)
		}
		skopeo(t, "copy", "--preserve-digests", "--src-tls-verify=false", "docker://"+repo+":"+tag, "oci:"+dir+"/back:"+tag)
		again := run(t, o)
		if diff := cmp.Diff(r, again); diff != "" {
			t.Errorf("%s: the second time:\n%s", tag, diff)
		}
	}
	if digests["saved"] != digests["saved-tagged"] || digests["linked"] != digests["linked-tagged"] || digests["folder"] != digests["tagged"] {
		t.Errorf("the digests are %v", digests)
	}
	index, err := os.ReadFile(dir + "/back/index.json")
	for tag, d := range digests {
		if err != nil || !strings.Contains(string(index), d) {
			t.Errorf("%s came back as %s, %v; want %s", tag, index, err, d)
		}
	}
}

// relinked makes another archive of what docker save wrote: compressed, with one
// of its layers compressed as well, and the other one behind a symbolic link, as
// images have it that share a layer.
func relinked(t *testing.T, saved string) string {
	t.Helper()
	dir := t.TempDir()
	tar := disktest.Program(t, "tar", "tar")
	disktest.Run(t, tar, "-C", dir, "-xf", saved)
	text, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list []struct{ Layers []string }
	if err := json.Unmarshal(text, &list); err != nil || len(list) != 1 || len(list[0].Layers) != 2 {
		t.Fatalf("%v: %s", err, text)
	}
	first, second := filepath.Join(dir, list[0].Layers[0]), filepath.Join(dir, list[0].Layers[1])
	disktest.Run(t, disktest.Program(t, "gzip", "gzip"), "-n", second)
	for _, err := range []error{
		os.Rename(second+".gz", second), os.Mkdir(filepath.Join(dir, "other"), 0o755), os.Rename(first, filepath.Join(dir, "other", "layer.tar")),
		os.Symlink("other/layer.tar", first),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	archive := filepath.Join(t.TempDir(), "linked.tar.gz")
	disktest.Run(t, tar, "-C", dir, "-czf", archive, ".")
	return archive
}

// TestPlatforms pushes an index: all platforms come with it, by digest, and the
// tag is for the index alone.
func TestPlatforms(t *testing.T) {
	l := newLayout(t)
	arm, amd := l.image("arm64"), l.image("amd64")
	index := l.index(arm, amd)
	l.tag("both", index)
	repo := outputtest.Registry(t, "") + "/both"
	r := run(t, push.Options{Paths: []string{l.dir}, Reference: repo, Annotations: map[string]string{"org.example.a": "b"}})
	skopeo(t, "copy", "--all", "--src-tls-verify=false", "docker://"+repo, "oci:"+t.TempDir()+":1")
	var got ocispec.Index
	if err := json.Unmarshal([]byte(skopeo(t, "inspect", "--raw", "--tls-verify=false", "docker://"+repo)), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Manifests) != 2 || got.Annotations["org.example.a"] != "b" || r.Digest == index.Digest.String() {
		t.Errorf("the registry has %+v", got)
	}
	tags := skopeo(t, "list-tags", "--tls-verify=false", "docker://"+repo)
	if !strings.Contains(tags, `"latest"`) || strings.Count(tags, "\n") != 6 {
		t.Errorf("the tags are %s", tags)
	}
}

// TestAnnotations adds some to those that the manifest has.
func TestAnnotations(t *testing.T) {
	l := newLayout(t)
	l.tag("1", l.image("amd64"))
	repo := outputtest.Registry(t, "") + "/hello"
	run(t, push.Options{Paths: []string{l.dir}, Reference: repo + ":1", Annotations: map[string]string{"org.example.a": "new", "org.example.b": "<&>"}})
	m := manifest(t, repo+":1")
	want := map[string]string{"org.example.a": "new", "org.example.b": "<&>", "org.example.kept": "yes"}
	if diff := cmp.Diff(want, m.Annotations); diff != "" {
		t.Error(diff)
	}
	if len(m.Layers) != 1 || m.Layers[0].Annotations["org.example.layer"] != "1" {
		t.Errorf("the layers are %+v", m.Layers)
	}
}

// TestArtifacts pushes files of all kinds, and fetches them.
func TestArtifacts(t *testing.T) {
	addr := outputtest.Registry(t, "")
	dir := t.TempDir()
	qemu := disktest.Program(t, "qemu-img", "qemu-utils")
	path := func(name string) string { return filepath.Join(dir, name) }
	for format, name := range map[string]string{"raw": "a.raw", "qcow2": "a.qcow2", "vmdk": "a.vmdk", "vpc": "a.vhd", "vhdx": "a.vhdx"} {
		disktest.Run(t, qemu, "create", "-q", "-f", format, path(name), "3M")
	}
	xz := disktest.Program(t, "xz", "xz-utils")
	disktest.Run(t, xz, "-k", path("a.raw"))
	for name, media := range map[string]string{
		"a.raw": "raw", "a.raw.xz": "raw.xz", "a.qcow2": "qcow2", "a.vmdk": "vmdk", "a.vhd": "vhd", "a.vhdx": "vhdx",
	} {
		repo := addr + "/disks/" + strings.ReplaceAll(name, ".", "-")
		r := run(t, push.Options{Paths: []string{path(name)}, Reference: repo})
		m := manifest(t, repo)
		if r.ArtifactType != push.TypeDisk || m.ArtifactType != push.TypeDisk || m.Config.MediaType != ocispec.MediaTypeEmptyJSON {
			t.Errorf("%s: pushed %+v as %+v", name, m, r)
		}
		if len(m.Layers) != 1 || m.Layers[0].MediaType != push.TypeDisk+"."+media || m.Layers[0].Annotations[ocispec.AnnotationTitle] != name {
			t.Errorf("%s: the layers are %+v", name, m.Layers)
		}
		back := t.TempDir()
		skopeo(t, "copy", "--src-tls-verify=false", "docker://"+repo, "dir:"+back)
		disktest.Run(t, disktest.Program(t, "cmp", "diffutils"), path(name), filepath.Join(back, m.Layers[0].Digest.Encoded()))
	}
}

// TestFiles pushes several files as one artifact, of a type that is given.
func TestFiles(t *testing.T) {
	repo := outputtest.Registry(t, "") + "/files"
	a, b, twin := write(t, "a.txt", "a"), write(t, "b.unknown", "b"), write(t, "c.txt", "a")
	r := run(t, push.Options{Paths: []string{a, b, twin}, Reference: repo + ":1", Type: "application/vnd.example.set", Annotations: map[string]string{"k": "v"}})
	m := manifest(t, repo+"@"+r.Digest)
	var names []string
	for _, l := range m.Layers {
		names = append(names, l.Annotations[ocispec.AnnotationTitle]+" "+l.MediaType)
	}
	want := []string{"a.txt text/plain", "b.unknown application/octet-stream", "c.txt text/plain"}
	if !slices.Equal(names, want) || m.ArtifactType != "application/vnd.example.set" || m.Annotations["k"] != "v" {
		t.Errorf("the registry has %+v", m)
	}
}
