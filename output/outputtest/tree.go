package outputtest

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images/archive"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/output"
)

// Tree returns a root filesystem of two layers, as a build hands it over: in a
// content store, exported by containerd.
func Tree(t testing.TB) output.Tree {
	t.Helper()
	store, err := local.NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := &tree{t: t, store: store}
	created := time.Date(2026, time.March, 1, 12, 30, 15, 0, time.UTC)
	image := ocispec.Image{
		Created:  &created,
		Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"},
		Config: ocispec.ImageConfig{
			User: "1000:1000", Env: []string{"TZ=UTC"}, Entrypoint: []string{"/opt/jre/bin/java", "-jar"}, Cmd: []string{"/app/hello.jar"},
			WorkingDir: "/app", ExposedPorts: map[string]struct{}{"8080/tcp": {}}, Volumes: map[string]struct{}{"/data": {}},
			Labels: map[string]string{"org.opencontainers.image.title": "hello-jvm"},
		},
		RootFS: ocispec.RootFS{Type: "layers"},
	}
	manifest := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	for _, layer := range []map[string]string{{"etc/motd": "hello\n", "etc/hostname": "appliance\n"}, {"app/hello.jar": "no jar\n"}} {
		text := b.layer(layer)
		manifest.Layers = append(manifest.Layers, b.put(ocispec.MediaTypeImageLayer, text))
		image.RootFS.DiffIDs = append(image.RootFS.DiffIDs, digest.FromBytes(text))
	}
	manifest.Config = b.put(ocispec.MediaTypeImageConfig, b.json(image))
	b.manifest = b.put(ocispec.MediaTypeImageManifest, b.json(manifest))
	b.manifest.Platform = &image.Platform
	return b
}

type tree struct {
	t        testing.TB
	store    content.Store
	manifest ocispec.Descriptor
}

// Export implements output.Tree.
func (b *tree) Export(ctx context.Context, path, ref string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := archive.Export(ctx, b.store, f, archive.WithManifest(b.manifest, ref)); err != nil {
		return err
	}
	return f.Close()
}

func (b *tree) put(mediaType string, p []byte) ocispec.Descriptor {
	b.t.Helper()
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(p), Size: int64(len(p))}
	if err := content.WriteBlob(b.t.Context(), b.store, d.Digest.String(), bytes.NewReader(p), d); err != nil {
		b.t.Fatal(err)
	}
	return d
}

func (b *tree) json(v any) []byte {
	b.t.Helper()
	p, err := json.Marshal(v)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// layer makes a tar of small files.
func (b *tree) layer(files map[string]string) []byte {
	b.t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		text := files[name]
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(text)), Mode: 0o644}); err != nil {
			b.t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			b.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.t.Fatal(err)
	}
	return buf.Bytes()
}
