package push_test

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/push"
	"github.com/imgbuild/imgbuild/output/registry"
)

// wantFault checks the kind of an error, and what it says and advises.
func wantFault(t *testing.T, err error, kind fault.Kind, message, hint string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error where %q was due", message)
		return
	}
	hints := strings.Join(fault.HintsOf(err), "\n")
	if fault.KindOf(err) != kind || !strings.Contains(err.Error(), message) || !strings.Contains(hints, hint) {
		t.Errorf("kind %d: %v\nhints: %s\nwant kind %d: %s\nhint: %s", fault.KindOf(err), err, hints, kind, message, hint)
	}
}

// TestWrongUse needs no registry: nothing is sent.
func TestWrongUse(t *testing.T) {
	image, text, twin := exported(t), write(t, "a.txt", "a"), write(t, "a.txt", "b")
	tar := write(t, "x.tar", "no archive")
	unknown := write(t, "notes", "a")
	ref := "127.0.0.1:1/hello:1"
	for _, c := range []struct {
		o             push.Options
		kind          fault.Kind
		message, hint string
	}{
		{push.Options{Paths: []string{image}, Reference: "Not A Reference"}, fault.Usage, "the reference", "registry.example.org/"},
		{push.Options{Paths: []string{image}, Reference: ref + "@" + digest.FromString("x").String()}, fault.Usage, "has the digest sha256:", "leave the digest out"},
		{push.Options{Paths: []string{"/nowhere"}, Reference: ref}, fault.Input, "no such file", "check the path"},
		{push.Options{Paths: []string{t.TempDir()}, Reference: ref}, fault.Input, "it is a folder", "index.json"},
		{push.Options{Paths: []string{image + ":none"}, Reference: ref}, fault.Input, "has no tag none", "it has 1.0.0"},
		{push.Options{Paths: []string{unknown}, Reference: ref}, fault.Input, "neither an image, a disk", "--type"},
		{push.Options{Paths: []string{tar}, Reference: ref}, fault.Input, "neither an image, a disk", "--type"},
		{push.Options{Paths: []string{text, twin}, Reference: ref}, fault.Usage, "two files are called a.txt", "names of their own"},
		{push.Options{Paths: []string{text}, Type: "report", Reference: ref}, fault.Usage, `"report" is no media type`, "application/"},
		{push.Options{Paths: []string{image}, Reference: ref, Attach: []push.Attachment{{Path: unknown}}}, fault.Input, "neither an image, a disk", "FILE:application/"},
		{push.Options{Paths: []string{image}, Reference: ref, Registry: registry.Options{CA: text}}, fault.Usage, "holds no certificate", "PEM"},
		{push.Options{Paths: []string{image}, Reference: ref}, fault.Publish, "pushing to " + ref + ": the registry cannot be reached", "network"},
	} {
		_, err := push.Run(t.Context(), c.o)
		wantFault(t, err, c.kind, c.message, c.hint)
	}
}

// TestDockerType has no place for annotations.
func TestDockerType(t *testing.T) {
	h := newLayout(t)
	image := h.image("amd64")
	image.MediaType = images.MediaTypeDockerSchema2Manifest
	h.tag("1", image)
	o := push.Options{Paths: []string{h.dir}, Reference: "127.0.0.1:1/hello", Annotations: map[string]string{"a": "b"}}
	_, err := push.Run(t.Context(), o)
	wantFault(t, err, fault.Usage, "have no annotations", "skopeo copy --format oci")
}

// TestBrokenImages are refused before anything is sent.
func TestBrokenImages(t *testing.T) {
	for name, c := range map[string]struct {
		harm    func(h *hand, layer, image ocispec.Descriptor) ocispec.Descriptor
		message string
	}{
		"a layer is missing": {func(h *hand, layer, image ocispec.Descriptor) ocispec.Descriptor {
			os.Remove(filepath.Join(h.dir, blobName(layer.Digest)))
			return image
		}, "is missing"},
		"a layer is cut": {func(h *hand, layer, image ocispec.Descriptor) ocispec.Descriptor {
			h.write(blobName(layer.Digest), []byte("lay"))
			return image
		}, "has 3 bytes, its descriptor says 11"},
		"the manifest is missing": {func(h *hand, _, image ocispec.Descriptor) ocispec.Descriptor {
			os.Remove(filepath.Join(h.dir, blobName(image.Digest)))
			return image
		}, "is missing"},
		"the manifest is another": {func(h *hand, _, image ocispec.Descriptor) ocispec.Descriptor {
			h.write(blobName(image.Digest), make([]byte, image.Size))
			return image
		}, "is not what its digest says"},
		"the manifest is large": {func(_ *hand, _, image ocispec.Descriptor) ocispec.Descriptor {
			image.Size = 1 << 40
			return image
		}, "more than"},
		"no digest": {func(_ *hand, _, image ocispec.Descriptor) ocispec.Descriptor {
			image.Digest = "sha256:../../../../etc/passwd"
			return image
		}, "the digest"},
		"another type": {func(_ *hand, _, image ocispec.Descriptor) ocispec.Descriptor {
			image.MediaType = "text/plain"
			return image
		}, `it is no image but "text/plain"`},
		"nested": {func(h *hand, _, image ocispec.Descriptor) ocispec.Descriptor {
			for range 6 {
				image = h.index(image)
			}
			return image
		}, "nest deeper"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newLayout(t)
			layer := digest.FromString("layer amd64")
			h.tag("1", c.harm(h, ocispec.Descriptor{Digest: layer}, h.image("amd64")))
			_, err := push.Run(t.Context(), push.Options{Paths: []string{h.dir}, Reference: "127.0.0.1:1/hello"})
			wantFault(t, err, fault.Input, c.message, "")
		})
	}
}

// TestDamagedLayer lets the registry find out: the tag is not set.
func TestDamagedLayer(t *testing.T) {
	h := newLayout(t)
	h.tag("1", h.image("amd64"))
	h.write(blobName(digest.FromString("layer amd64")), []byte("LAYER amd64"))
	addr := outputtest.Registry(t, "")
	_, err := push.Run(t.Context(), push.Options{Paths: []string{h.dir}, Reference: addr + "/hello:1"})
	wantFault(t, err, fault.Publish, "400 Bad Request", "")
	if _, status := get(t, "http://"+addr+"/v2/hello/manifests/1"); status != http.StatusNotFound {
		t.Errorf("the tag: %d", status)
	}
}

// TestCuts fails one request of a push after the other, until all go well. The
// tag stays on the old image until the new one is complete.
func TestCuts(t *testing.T) {
	addr := outputtest.Registry(t, "")
	h := newLayout(t)
	h.tag("old", h.image("amd64"))
	h.tag("new", h.index(h.image("arm64"), h.image("riscv64")))
	old := run(t, push.Options{Paths: []string{h.dir + ":old"}, Reference: addr + "/hello:1"})

	var left atomic.Int64
	behind := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addr})
	behind.ErrorLog = log.New(io.Discard, "", 0)
	proxy := serve(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if left.Add(-1) < 0 {
			w.WriteHeader(http.StatusInsufficientStorage)
			return
		}
		q.Host = addr
		behind.ServeHTTP(w, q)
	}))
	report := write(t, "audit.sarif", "{}")
	for allowed := int64(0); ; allowed++ {
		left.Store(allowed)
		r, err := push.Run(t.Context(), push.Options{
			Paths: []string{h.dir + ":new"}, Reference: proxy + "/hello:1", Attach: []push.Attachment{{Path: report}},
		})
		tagged := inspectDigest(t, addr+"/hello:1")
		if err == nil {
			if tagged != r.Digest {
				t.Errorf("the tag is on %s, not on %s", tagged, r.Digest)
			}
			t.Logf("%d requests", allowed)
			return
		}
		wantFault(t, err, fault.Publish, "507", "")
		if tagged != old.Digest {
			t.Fatalf("after %d requests the tag is on %s: %v", allowed, tagged, err)
		}
		if allowed > 200 {
			t.Fatal("it never goes well")
		}
	}
}

func inspectDigest(t *testing.T, ref string) string {
	t.Helper()
	return digest.FromString(skopeo(t, "inspect", "--raw", "--tls-verify=false", "docker://"+ref)).String()
}

// TestCancel ends a push while the registry does not answer.
func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	addr := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel() }))
	if _, err := push.Run(ctx, push.Options{Paths: []string{exported(t)}, Reference: addr + "/hello"}); fault.KindOf(err) != fault.Interrupted {
		t.Errorf("it ended with %v", err)
	}
}

// TestLogin needs a user at the registry.
func TestLogin(t *testing.T) {
	addr := outputtest.Registry(t, outputtest.Passwords(t))
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	o := push.Options{Paths: []string{exported(t)}, Reference: addr + "/hello:1"}
	_, err := push.Run(t.Context(), o)
	wantFault(t, err, fault.Publish, "the registry does not let us push there", "docker login")
	o.Registry = registry.Options{Username: "user", Password: "wrong"}
	_, err = push.Run(t.Context(), o)
	wantFault(t, err, fault.Publish, "the registry does not let us push there", "docker login")
	o.Registry.Password = "secret"
	run(t, o)

	text := `{"auths":{"` + addr + `":{"auth":"dXNlcjpzZWNyZXQ="}}}`
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Registry = registry.Options{}
	o.Attach = []push.Attachment{{Path: write(t, "a.txt", "a")}}
	run(t, o)
}
