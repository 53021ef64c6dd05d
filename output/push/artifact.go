package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/fault"
)

// Attachment is a file that is pushed beside the image, and refers to it.
type Attachment struct {
	Path string
	Type string // artifactType; empty to tell it from the file
}

// ParseAttachment reads FILE or FILE:TYPE. A file that is there as it is has no
// type behind it.
func ParseAttachment(text string) Attachment {
	if _, err := os.Stat(text); err == nil {
		return Attachment{Path: text}
	}
	i := strings.LastIndexByte(text, ':')
	if i <= 0 || !strings.Contains(text[i:], "/") {
		return Attachment{Path: text}
	}
	return Attachment{Path: text[:i], Type: text[i+1:]}
}

// open makes the artifact of an attachment.
func (a Attachment) open(ctx context.Context, to ocispec.Descriptor) (*bundle, error) {
	return makeArtifact(ctx, []string{a.Path}, a.Type, nil, subject(to))
}

// makeArtifact makes the manifest of files. The type is that of the first file
// when it is empty.
func makeArtifact(ctx context.Context, paths []string, artifactType string, annotations map[string]string, to *ocispec.Descriptor) (*bundle, error) {
	if err := checkType(artifactType); err != nil {
		return nil, err
	}
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		ArtifactType: artifactType, Config: ocispec.DescriptorEmptyJSON,
		Subject: to, Annotations: annotations,
	}
	b := newBundle()
	empty := ocispec.Descriptor{MediaType: m.Config.MediaType, Digest: m.Config.Digest, Size: m.Config.Size}
	b.made[empty.Digest] = m.Config.Data
	b.seen[empty.Digest] = true
	b.blobs = append(b.blobs, empty)
	names := map[string]bool{}
	for _, path := range paths {
		k, err := kindOf(path, artifactType)
		if err != nil {
			return nil, err
		}
		if m.ArtifactType == "" {
			m.ArtifactType = k.artifact
		}
		desc, err := digestFile(ctx, path)
		if err != nil {
			return nil, err
		}
		desc.MediaType = k.media
		if !b.seen[desc.Digest] {
			b.seen[desc.Digest] = true
			b.files[desc.Digest] = path
			b.blobs = append(b.blobs, desc)
		}
		name := filepath.Base(path)
		if names[name] {
			return nil, fault.New(fault.Usage, fmt.Errorf("two files are called %s", name), "files of one artifact need names of their own")
		}
		names[name] = true
		desc.Annotations = map[string]string{ocispec.AnnotationTitle: name}
		m.Layers = append(m.Layers, desc)
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	b.setRoot(text, m.MediaType, m.ArtifactType)
	return b, nil
}

// digestFile describes the content of a file.
func digestFile(ctx context.Context, path string) (ocispec.Descriptor, error) {
	f, err := os.Open(path)
	if err != nil {
		return ocispec.Descriptor{}, unreadable(err)
	}
	defer f.Close()
	d := digest.SHA256.Digester()
	var size int64
	for {
		if err := ctx.Err(); err != nil {
			return ocispec.Descriptor{}, err
		}
		const step = 4 << 20
		n, err := io.CopyN(d.Hash(), f, step)
		size += n
		if errors.Is(err, io.EOF) {
			return ocispec.Descriptor{Digest: d.Digest(), Size: size}, nil
		}
		if err != nil {
			return ocispec.Descriptor{}, unreadable(err)
		}
	}
}

func unreadable(err error) error { return fault.New(fault.Input, err, "check the path") }
