package kubevirt

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"regexp"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/output/tarred"
)

// owner is the user and group of QEMU in KubeVirt's containers.
const owner = 107

// layerHead returns the headers of the layer: the folder and the disk.
func (s *sink) layerHead(size int64) ([]byte, error) {
	folder, err := tarred.Header(tar.Header{Typeflag: tar.TypeDir, Name: "disk/", Mode: 0o555, Uid: owner, Gid: owner}, s.about.Created)
	if err != nil {
		return nil, err
	}
	file, err := tarred.Header(tar.Header{
		Typeflag: tar.TypeReg, Name: "disk/" + s.about.Name + ".qcow2", Size: size, Mode: 0o440, Uid: owner, Gid: owner,
	}, s.about.Created)
	return append(folder, file...), err
}

// describe fills in the header of the layer, of n bytes, and returns the
// members behind it.
func (s *sink) describe(n int64) ([]byte, error) {
	sum, err := digest.SHA256.FromReader(io.NewSectionReader(s.file, layerAt, n))
	if err != nil {
		return nil, fmt.Errorf("digesting the layer: %w", err)
	}
	header, err := tarred.File(blob(sum), n, s.about.Created)
	if err != nil {
		return nil, err
	}
	if _, err := s.file.WriteAt(header, 0); err != nil {
		return nil, err
	}
	m := &members{sink: s}
	created := s.about.Created
	config := m.blob(ocispec.MediaTypeImageConfig, ocispec.Image{
		Created: &created, Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"},
		RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{sum}},
	})
	manifest := m.blob(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Config: config,
		Layers: []ocispec.Descriptor{{MediaType: ocispec.MediaTypeImageLayer, Digest: sum, Size: n}},
	})
	manifest.Annotations = map[string]string{ocispec.AnnotationRefName: tag(s.about.Version)}
	m.json(ocispec.ImageIndexFile, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{manifest},
	})
	m.json(ocispec.ImageLayoutFile, ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	return m.data, m.err
}

// members collects small files of JSON.
type members struct {
	*sink
	data []byte
	err  error
}

// blob adds a file by its digest, and describes it.
func (m *members) blob(mediaType string, v any) ocispec.Descriptor {
	text, err := json.Marshal(v)
	if err != nil {
		m.err = err
		return ocispec.Descriptor{}
	}
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(text), Size: int64(len(text))}
	m.add(blob(d.Digest), text)
	return d
}

// json adds a file by its name.
func (m *members) json(name string, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		m.err = err
		return
	}
	m.add(name, text)
}

func (m *members) add(name string, text []byte) {
	p, err := tarred.Member(name, text, m.about.Created)
	if err != nil {
		m.err = err
	}
	m.data = append(m.data, p...)
}

// blob returns the name of a blob in the layout.
func blob(d digest.Digest) string { return "blobs/" + d.Algorithm().String() + "/" + d.Encoded() }

// notInTags matches what a version may hold and a tag may not.
var notInTags = regexp.MustCompile(`[^A-Za-z0-9_.-]`)

// tag turns the version into a tag.
func tag(version string) string {
	if version == "" {
		return "latest"
	}
	return notInTags.ReplaceAllString(version, "-")
}
