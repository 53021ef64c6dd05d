package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/platforms"
	"github.com/google/go-cmp/cmp"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// need skips the test when a program is not installed; never in CI.
func need(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: install the package %s", program, pkg)
	}
	t.Skipf("%s is missing: install the package %s", program, pkg)
}

// hand makes OCI layouts by hand.
type hand struct {
	t   *testing.T
	dir string
}

func newHand(t *testing.T) hand {
	h := hand{t, filepath.Join(t.TempDir(), "layout")}
	h.write("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	return h
}

func (h hand) write(name string, data []byte) {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		h.t.Fatal(err)
	}
}

func (h hand) blob(mediaType string, data []byte) ocispec.Descriptor {
	d := digest.FromBytes(data)
	h.write("blobs/sha256/"+d.Encoded(), data)
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(data))}
}

func (h hand) json(mediaType string, v any) ocispec.Descriptor {
	data, err := json.Marshal(v)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.blob(mediaType, data)
}

// image makes an image of one layer with one file.
func (h hand) image(arch, text string) ocispec.Descriptor {
	h.t.Helper()
	var plain, packed bytes.Buffer
	w := tar.NewWriter(&plain)
	if err := w.WriteHeader(&tar.Header{Name: "file", Mode: 0o644, Size: int64(len(text))}); err != nil {
		h.t.Fatal(err)
	}
	w.Write([]byte(text))
	w.Close()
	z := gzip.NewWriter(&packed)
	z.Write(plain.Bytes())
	z.Close()
	p := ocispec.Platform{OS: "linux", Architecture: arch}
	config := h.json(ocispec.MediaTypeImageConfig, ocispec.Image{
		Platform: p,
		Config:   ocispec.ImageConfig{Entrypoint: []string{"/" + text}},
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(plain.Bytes())}},
	})
	m := h.json(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Config: config,
		Layers: []ocispec.Descriptor{h.blob(ocispec.MediaTypeImageLayerGzip, packed.Bytes())},
	})
	m.Platform = &p
	return m
}

func (h hand) index(manifests ...ocispec.Descriptor) ocispec.Descriptor {
	return h.json(ocispec.MediaTypeImageIndex, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: manifests})
}

// tag writes index.json.
func (h hand) tag(tags map[string]ocispec.Descriptor) {
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for tag, desc := range tags {
		desc.Annotations = map[string]string{ocispec.AnnotationRefName: tag}
		index.Manifests = append(index.Manifests, desc)
	}
	data, err := json.Marshal(index)
	if err != nil {
		h.t.Fatal(err)
	}
	h.write("index.json", data)
}

func newClient(t *testing.T) *Client {
	t.Helper()
	s, err := local.NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Store: s})
}

// check resolves and fetches an image and reads its layers back.
func check(t *testing.T, c *Client, ref, entrypoint string) *Image {
	t.Helper()
	d, err := c.Resolve(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	img, err := c.Fetch(t.Context(), ref, d)
	if err != nil {
		t.Fatal(err)
	}
	if img.Manifest.Digest != d {
		t.Errorf("fetched %s, resolved %s", img.Manifest.Digest, d)
	}
	if diff := cmp.Diff([]string{entrypoint}, img.Config.Config.Entrypoint); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	for _, l := range img.Layers {
		data, err := content.ReadBlob(t.Context(), c.o.Store, l)
		if err != nil || digest.FromBytes(data) != l.Digest {
			t.Errorf("layer %s: %v", l.Digest, err)
		}
	}
	return img
}

func wantFault(t *testing.T, err error, message, hint string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), message) {
		t.Fatalf("error %v, want %q", err, message)
	}
	if fault.KindOf(err) != fault.Input {
		t.Errorf("kind %d of %v", fault.KindOf(err), err)
	}
	if hints := strings.Join(fault.HintsOf(err), "\n"); !strings.Contains(hints, hint) {
		t.Errorf("hints %q lack %q", hints, hint)
	}
}

func TestLayout(t *testing.T) {
	h := newHand(t)
	amd64, arm64 := h.image("amd64", "one"), h.image("arm64", "arm")
	h.tag(map[string]ocispec.Descriptor{"one": amd64, "both": h.index(arm64, amd64), "arm": arm64})
	c := newClient(t)
	one := check(t, c, "oci:"+h.dir+":one", "/one")
	both := check(t, c, "oci:"+h.dir+":both", "/one")
	if one.Manifest.Digest != both.Manifest.Digest {
		t.Errorf("the index led to %s, want %s", both.Manifest.Digest, one.Manifest.Digest)
	}
	for _, tt := range []struct{ ref, message, hint string }{
		{"oci:" + h.dir + ":none", "the layout has no tag none", "one"},
		{"oci:" + h.dir, "the layout holds 3 images", "oci:FOLDER:TAG"},
		{"oci:" + h.dir + ":arm", "it is not for linux/amd64 but for linux/arm64", ""},
		{"oci:/nowhere", "opening the OCI layout /nowhere", ""},
		{"archive:/nowhere", "no such file", ""},
		{"Not a reference", "image reference", "oci:FOLDER"},
	} {
		_, err := c.Resolve(t.Context(), tt.ref)
		wantFault(t, err, tt.message, tt.hint)
	}

	two := h.image("amd64", "two")
	h.tag(map[string]ocispec.Descriptor{"one": two})
	_, err := c.Fetch(t.Context(), "oci:"+h.dir, one.Manifest.Digest)
	wantFault(t, err, "it differs from its lock", "imgbuild lock")

	// A damaged blob must not get through.
	h.write("blobs/sha256/"+two.Digest.Encoded(), bytes.Repeat([]byte("x"), int(two.Size)))
	_, err = newClient(t).Fetch(t.Context(), "oci:"+h.dir, two.Digest)
	wantFault(t, err, "unexpected commit digest", "")
}

func TestArchive(t *testing.T) {
	need(t, "skopeo", "skopeo")
	h := newHand(t)
	h.tag(map[string]ocispec.Descriptor{"one": h.image("amd64", "one")})
	for _, format := range []string{"docker-archive", "oci-archive"} {
		t.Run(format, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "image.tar")
			skopeo(t, "copy", "oci:"+h.dir+":one", format+":"+file+":example.org/one:1")
			first := check(t, newClient(t), "archive:"+file, "/one")
			again := check(t, newClient(t), "archive:"+file, "/one")
			if first.Manifest.Digest != again.Manifest.Digest {
				t.Errorf("%s, then %s", first.Manifest.Digest, again.Manifest.Digest)
			}
		})
	}
	file := filepath.Join(t.TempDir(), "bad.tar")
	if err := os.WriteFile(file, []byte("no archive"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := newClient(t).Resolve(t.Context(), "archive:"+file)
	wantFault(t, err, "importing the archive", "docker save")
}

func skopeo(t *testing.T, args ...string) {
	t.Helper()
	args = append([]string{"--insecure-policy"}, args...)
	if out, err := exec.Command("skopeo", args...).CombinedOutput(); err != nil {
		t.Fatalf("skopeo %v: %v\n%s", args, err, out)
	}
}

func TestRegistry(t *testing.T) {
	need(t, "skopeo", "skopeo")
	h := newHand(t)
	one, arm := h.image("amd64", "one"), h.image("arm64", "arm")
	h.tag(map[string]ocispec.Descriptor{"both": h.index(arm, one), "arm": arm, "one": one})
	addr := outputtest.Registry(t, "")
	repo := addr + "/test/app"
	for _, tag := range []string{"both", "arm"} {
		skopeo(t, "copy", "--all", "--dest-tls-verify=false", "oci:"+h.dir+":"+tag, "docker://"+repo+":"+tag)
	}
	c := newClient(t)
	img := check(t, c, repo+":both", "/one")
	if img.Manifest.Digest != one.Digest {
		t.Errorf("got manifest %s, want %s", img.Manifest.Digest, one.Digest)
	}
	check(t, newClient(t), repo+"@"+one.Digest.String(), "/one")

	for _, tt := range []struct{ ref, message, hint string }{
		{repo + ":none", "there is no such image", "tag"},
		{addr + "/none:1", "there is no such image", "tag"},
		{repo + ":arm", "it is not for linux/amd64 but for linux/arm64", ""},
		{"127.0.0.1:1/app:1", "the registry cannot be reached: ", "network"},
	} {
		_, err := c.Resolve(t.Context(), tt.ref)
		wantFault(t, err, tt.message, tt.hint)
	}

	t.Run("moved tag", func(t *testing.T) {
		two := h.image("amd64", "two")
		h.tag(map[string]ocispec.Descriptor{"two": two})
		push(t, h, two, repo+":both")
		d, err := c.Resolve(t.Context(), repo+":both")
		if err != nil || d != two.Digest {
			t.Errorf("resolved %s, %v; want %s", d, err, two.Digest)
		}
		if _, err := newClient(t).Fetch(t.Context(), repo+":both", one.Digest); err != nil {
			t.Errorf("the locked image is still there: %v", err)
		}
		gone := digest.FromString("gone")
		_, err = c.Fetch(t.Context(), repo+":both", gone)
		wantFault(t, err, "it differs from its lock", "imgbuild lock")
	})
}

// push uses containerd's own pusher.
func push(t *testing.T, h hand, desc ocispec.Descriptor, ref string) {
	t.Helper()
	s, err := local.NewStore(h.dir)
	if err != nil {
		t.Fatal(err)
	}
	resolver := docker.NewResolver(docker.ResolverOptions{
		Hosts: docker.ConfigureDefaultRegistries(docker.WithPlainHTTP(docker.MatchLocalhost))})
	pusher, err := resolver.Pusher(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remotes.PushContent(t.Context(), pusher, desc, s, nil, platforms.All, func(h images.Handler) images.Handler { return h }); err != nil {
		t.Fatal(err)
	}
}

// TestLogin needs a user at a registry, by both ways of keeping credentials.
func TestLogin(t *testing.T) {
	need(t, "skopeo", "skopeo")
	addr := outputtest.Registry(t, outputtest.Passwords(t))
	h := newHand(t)
	h.tag(map[string]ocispec.Descriptor{"one": h.image("amd64", "one")})
	skopeo(t, "copy", "--dest-tls-verify=false", "--dest-creds", "user:secret", "oci:"+h.dir+":one", "docker://"+addr+"/app:1")

	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	configure := func(format string, args ...any) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "config.json"), fmt.Appendf(nil, format, args...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := newClient(t).Resolve(t.Context(), addr+"/app:1")
	wantFault(t, err, "the registry does not let us read it", "docker login")
	configure(`{"auths":{%q:{"auth":"dXNlcjp3cm9uZw=="}}}`, addr)
	_, err = newClient(t).Resolve(t.Context(), addr+"/app:1")
	wantFault(t, err, "the registry does not let us read it", "docker login")
	configure(`{"auths":{%q:{"auth":"dXNlcjpzZWNyZXQ="}}}`, addr)
	check(t, newClient(t), addr+"/app:1", "/one")

	helper := "#!/bin/sh\nread host\necho '{\"Username\":\"user\",\"Secret\":\"secret\"}'\n"
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-test"), []byte(helper), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	configure(`{"credHelpers":{%q:"test"}}`, addr)
	check(t, newClient(t), addr+"/app:1", "/one")
}

// TestResume cuts a download in the middle and makes sure that the second try
// goes on from there.
func TestResume(t *testing.T) {
	h := newHand(t)
	one := h.image("amd64", "one")
	h.tag(map[string]ocispec.Descriptor{"one": one})
	c := newClient(t)
	data, err := os.ReadFile(filepath.Join(h.dir, "blobs/sha256", one.Digest.Encoded()))
	if err != nil {
		t.Fatal(err)
	}
	w, err := content.OpenWriter(context.Background(), c.o.Store, content.WithRef(remotes.MakeRefKey(t.Context(), one)), content.WithDescriptor(one))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data[:100]); err != nil {
		t.Fatal(err)
	}
	w.Close()
	check(t, c, "oci:"+h.dir, "/one")
}
