package push_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// hand makes OCI layouts by hand.
type hand struct {
	t    testing.TB
	dir  string
	list ocispec.Index
}

func newLayout(t testing.TB) *hand {
	h := &hand{t: t, dir: filepath.Join(t.TempDir(), "layout")}
	h.list = ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	h.write("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	return h
}

func (h *hand) write(name string, p []byte) {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, p, 0o644); err != nil {
		h.t.Fatal(err)
	}
}

func blobName(d digest.Digest) string { return "blobs/sha256/" + d.Encoded() }

func (h *hand) blob(mediaType string, p []byte) ocispec.Descriptor {
	h.t.Helper()
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(p), Size: int64(len(p))}
	h.write(blobName(d.Digest), p)
	return d
}

func (h *hand) json(mediaType string, v any) ocispec.Descriptor {
	h.t.Helper()
	p, err := json.Marshal(v)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.blob(mediaType, p)
}

// image adds an image of one layer, which is no tar.
func (h *hand) image(arch string) ocispec.Descriptor {
	h.t.Helper()
	layer := h.blob(ocispec.MediaTypeImageLayer, []byte("layer "+arch))
	p := ocispec.Platform{OS: "linux", Architecture: arch}
	config := h.json(ocispec.MediaTypeImageConfig, ocispec.Image{
		Platform: p, RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{layer.Digest}},
	})
	layer.Annotations = map[string]string{"org.example.layer": "1"}
	m := h.json(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config, Layers: []ocispec.Descriptor{layer},
		Annotations: map[string]string{"org.example.kept": "yes", "org.example.a": "old"},
	})
	m.Platform = &p
	return m
}

func (h *hand) index(manifests ...ocispec.Descriptor) ocispec.Descriptor {
	h.t.Helper()
	return h.json(ocispec.MediaTypeImageIndex, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: manifests})
}

// tag adds an image to the list.
func (h *hand) tag(tag string, d ocispec.Descriptor) {
	h.t.Helper()
	d.Annotations = map[string]string{ocispec.AnnotationRefName: tag}
	h.list.Manifests = append(h.list.Manifests, d)
	p, err := json.Marshal(h.list)
	if err != nil {
		h.t.Fatal(err)
	}
	h.write("index.json", p)
}
