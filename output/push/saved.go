package push

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/output/layout"
)

// readSaved makes a manifest for each image of docker save, which has none
// (Docker Image Specification 1.2, "Combined Image JSON + Filesystem Changeset
// Format"): the configuration of Docker is one of OCI, and so are its layers.
func (l *images) readSaved(ctx context.Context) error {
	var list []struct {
		Config           string
		RepoTags, Layers []string
	}
	if err := l.Decode(layout.SaveName, &list); err != nil {
		return err
	}
	if len(list) == 0 || len(list) > maxImages {
		return fmt.Errorf("%s lists %d images", layout.SaveName, len(list))
	}
	for _, im := range list {
		desc, err := l.manifest(ctx, im.Config, im.Layers)
		if err != nil {
			return err
		}
		if len(im.RepoTags) == 0 {
			l.list = append(l.list, desc)
		}
		for _, name := range im.RepoTags {
			tag := name[strings.LastIndexByte(name, ':')+1:]
			desc.Annotations = map[string]string{ocispec.AnnotationRefName: tag}
			l.list = append(l.list, desc)
		}
	}
	return nil
}

// manifest makes the manifest of an image.
func (l *images) manifest(ctx context.Context, config string, layers []string) (ocispec.Descriptor, error) {
	if len(layers) > maxLayers {
		return ocispec.Descriptor{}, fmt.Errorf("an image has %d layers, more than %d", len(layers), maxLayers)
	}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Layers: []ocispec.Descriptor{}}
	var err error
	if m.Config, err = l.place(ctx, config, ocispec.MediaTypeImageConfig); err != nil {
		return ocispec.Descriptor{}, err
	}
	for _, name := range layers {
		layer, err := l.place(ctx, name, "")
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		m.Layers = append(m.Layers, layer)
	}
	text, err := json.Marshal(m)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	desc := ocispec.Descriptor{MediaType: m.MediaType, Digest: digest.FromBytes(text), Size: int64(len(text))}
	l.made[desc.Digest] = text
	return desc, nil
}

// place describes a file, and remembers where it is. Without a media type it is
// a layer.
func (l *images) place(ctx context.Context, name, mediaType string) (ocispec.Descriptor, error) {
	r, size, err := l.Open(name)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("%s: %w", name, err)
	}
	d := digest.SHA256.Digester()
	all := io.NewSectionReader(r, 0, size)
	for err == nil {
		if ctx.Err() != nil {
			return ocispec.Descriptor{}, ctx.Err()
		}
		const step = 4 << 20
		_, err = io.CopyN(d.Hash(), all, step)
	}
	if !errors.Is(err, io.EOF) {
		return ocispec.Descriptor{}, fmt.Errorf("digesting %s: %w", name, err)
	}
	if mediaType == "" {
		mediaType = layerType(r)
	}
	l.placed[d.Digest()] = name
	return ocispec.Descriptor{MediaType: mediaType, Digest: d.Digest(), Size: size}, nil
}

// layerType tells from its first bytes whether a layer is compressed (RFC 1952
// and RFC 8878 have the numbers).
func layerType(r io.ReaderAt) string {
	head := make([]byte, 4)
	n, _ := r.ReadAt(head, 0)
	switch head = head[:n]; {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return ocispec.MediaTypeImageLayerGzip
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return ocispec.MediaTypeImageLayerZstd
	}
	return ocispec.MediaTypeImageLayer
}
