package stages

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images/archive"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/kernel/init/config"
)

// containerImage is the tree of a build as a container image: the very layers
// that the root filesystem is made of, and the app's command as entry point.
type containerImage struct {
	store    builder.Store
	provider content.InfoReaderProvider
	layers   []ocispec.Descriptor
	guest    config.Guest
	image    ocispec.Image // without the root filesystem
}

// image describes the tree of a finished build.
func (s *Session) image(ctx context.Context, results map[string]builder.Outputs) (*containerImage, error) {
	im := &containerImage{store: s.Store, provider: s.Store.Content()}
	for _, in := range s.Build.Layers {
		im.layers = append(im.layers, results[in.Stage][in.Output])
	}
	text, err := readBlob(ctx, s.Store, results[StageConfig]["config"])
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &im.guest); err != nil {
		return nil, fmt.Errorf("reading the guest's configuration: %w", err)
	}
	r := s.Recipe.Recipe
	created := s.Options.Epoch
	im.image = ocispec.Image{Created: &created, Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}}
	im.image.Config = im.config()
	im.image.Config.Labels = map[string]string{
		ocispec.AnnotationTitle: r.Name, ocispec.AnnotationVersion: r.Version,
	}
	if r.Description != "" {
		im.image.Config.Labels[ocispec.AnnotationDescription] = r.Description
	}
	for _, p := range r.App.Ports {
		if im.image.Config.ExposedPorts == nil {
			im.image.Config.ExposedPorts = map[string]struct{}{}
		}
		im.image.Config.ExposedPorts[strconv.Itoa(p)+"/tcp"] = struct{}{}
	}
	return im, nil
}

// config says to a container engine what init does in a virtual machine.
func (im *containerImage) config() ocispec.ImageConfig {
	app := im.guest.App
	c := ocispec.ImageConfig{
		User:       fmt.Sprintf("%d:%d", app.UID, app.GID),
		Env:        append([]string{"TZ=" + im.guest.Timezone, "LANG=C.UTF-8", "HOME=/tmp"}, app.Env...),
		Entrypoint: app.Command,
		WorkingDir: app.Dir,
		StopSignal: "SIGTERM",
	}
	for _, m := range im.guest.Mounts {
		if c.Volumes == nil {
			c.Volumes = map[string]struct{}{}
		}
		c.Volumes[m.Path] = struct{}{}
	}
	return c
}

// Export implements output.Tree. The archive is an OCI layout that `docker
// load` reads too.
func (im *containerImage) Export(ctx context.Context, path, ref string) error {
	manifest, err := im.manifest(ctx)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := archive.Export(ctx, im.provider, f, archive.WithManifest(manifest, ref)); err != nil {
		return fmt.Errorf("exporting the image: %w", err)
	}
	return f.Close()
}

// manifest stores the image's configuration and manifest.
func (im *containerImage) manifest(ctx context.Context) (ocispec.Descriptor, error) {
	image := im.image
	image.RootFS = ocispec.RootFS{Type: "layers"}
	layers := make([]ocispec.Descriptor, len(im.layers))
	for i, l := range im.layers {
		diff, err := im.diffID(ctx, l)
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		image.RootFS.DiffIDs = append(image.RootFS.DiffIDs, diff)
		layers[i] = ocispec.Descriptor{MediaType: l.MediaType, Digest: l.Digest, Size: l.Size}
	}
	config, err := im.putJSON(ctx, image, ocispec.MediaTypeImageConfig)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	manifest, err := im.putJSON(ctx, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    config,
		Layers:    layers,
	}, ocispec.MediaTypeImageManifest)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	manifest.Platform = &im.image.Platform
	return manifest, nil
}

func (im *containerImage) putJSON(ctx context.Context, v any, mediaType string) (ocispec.Descriptor, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return putBytes(ctx, im.store, text, mediaType)
}

// diffID is the digest of a layer's tar, uncompressed.
func (im *containerImage) diffID(ctx context.Context, layer ocispec.Descriptor) (digest.Digest, error) {
	if layer.MediaType == mediaTypeLayer {
		return layer.Digest, nil
	}
	b, err := im.store.Open(ctx, layer)
	if err != nil {
		return "", err
	}
	defer b.Close()
	r, closeReader, err := uncompressed(io.NewSectionReader(b, 0, b.Size()))
	if err != nil {
		return "", err
	}
	defer closeReader()
	return digest.SHA256.FromReader(r)
}
