package push

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"

	"github.com/containerd/containerd/v2/core/content"
	media "github.com/containerd/containerd/v2/core/images"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/fault"
)

const (
	maxDepth    = 4 // of indexes within indexes
	maxBlobs    = 1 << 16
	maxDocument = 8 << 20 // bytes of a manifest or an index
)

// bundle is a manifest or an index, and everything that belongs to it.
type bundle struct {
	root ocispec.Descriptor
	// documents are manifests and indexes, each behind those that it names,
	// the root last. blobs are what else there is. Nothing is there twice.
	documents, blobs []ocispec.Descriptor
	seen             map[digest.Digest]bool

	base  content.Provider         // of an image; nil for an artifact
	made  map[digest.Digest][]byte // documents made here
	files map[digest.Digest]string // paths of the files of an artifact
	io.Closer
}

func newBundle() *bundle {
	return &bundle{seen: map[digest.Digest]bool{}, made: map[digest.Digest][]byte{}, files: map[digest.Digest]string{}, Closer: io.NopCloser(nil)}
}

// openImage opens an image; nil when the paths are files of other kinds.
func openImage(ctx context.Context, paths []string, artifactType string) (*bundle, error) {
	if len(paths) > 1 || artifactType != "" {
		return nil, nil
	}
	path, tag := split(paths[0])
	l, err := openImages(ctx, path)
	if l == nil {
		return nil, err
	}
	b := newBundle()
	b.base, b.Closer = l, l
	if b.root, err = l.find(tag); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	// What a list says of it is not for the registry.
	b.root = ocispec.Descriptor{MediaType: b.root.MediaType, Digest: b.root.Digest, Size: b.root.Size}
	return b, nil
}

// walk finds what belongs to the root of an image.
func (b *bundle) walk(ctx context.Context) error { return b.add(ctx, b.root, 0) }

// add adds what belongs to a document, and then itself. No document can lie
// within itself, for each is what its digest says.
func (b *bundle) add(ctx context.Context, desc ocispec.Descriptor, depth int) error {
	if b.seen[desc.Digest] {
		return nil
	}
	if depth > maxDepth {
		return fmt.Errorf("its indexes nest deeper than %d", maxDepth)
	}
	p, err := b.document(ctx, desc)
	if err != nil {
		return err
	}
	var d struct {
		ArtifactType string               `json:"artifactType"`
		Config       ocispec.Descriptor   `json:"config"`
		Layers       []ocispec.Descriptor `json:"layers"`
		Manifests    []ocispec.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(p, &d); err != nil {
		return fmt.Errorf("parsing %s: %w", desc.Digest, err)
	}
	if desc.Digest == b.root.Digest {
		b.root.ArtifactType = d.ArtifactType
	}
	switch {
	case media.IsManifestType(desc.MediaType):
		for _, blob := range append(d.Layers, d.Config) {
			if err := b.addBlob(ctx, blob); err != nil {
				return err
			}
		}
	case media.IsIndexType(desc.MediaType):
		for _, m := range d.Manifests {
			if err := b.add(ctx, m, depth+1); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("it is no image but %q", desc.MediaType)
	}
	b.seen[desc.Digest] = true
	b.documents = append(b.documents, ocispec.Descriptor{MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size})
	return nil
}

// addBlob adds a configuration or a layer, which must be there as a whole.
func (b *bundle) addBlob(ctx context.Context, desc ocispec.Descriptor) error {
	if b.seen[desc.Digest] {
		return nil
	}
	if len(b.blobs) == maxBlobs {
		return fmt.Errorf("it has more than %d blobs", maxBlobs)
	}
	r, err := b.ReaderAt(ctx, desc)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is missing", desc.Digest)
	}
	if err != nil {
		return err
	}
	defer r.Close()
	if r.Size() != desc.Size {
		return fmt.Errorf("%s has %d bytes, its descriptor says %d", desc.Digest, r.Size(), desc.Size)
	}
	b.seen[desc.Digest] = true
	b.blobs = append(b.blobs, ocispec.Descriptor{MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size})
	return nil
}

// document reads a manifest or an index.
func (b *bundle) document(ctx context.Context, desc ocispec.Descriptor) ([]byte, error) {
	if err := desc.Digest.Validate(); err != nil {
		return nil, fmt.Errorf("the digest %q: %w", desc.Digest, err)
	}
	if desc.Size < 0 || desc.Size > maxDocument {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", desc.Digest, desc.Size, maxDocument)
	}
	p, err := content.ReadBlob(ctx, b, desc)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing", desc.Digest)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", desc.Digest, err)
	}
	if !desc.Digest.Algorithm().Available() || desc.Digest.Algorithm().FromBytes(p) != desc.Digest {
		return nil, fmt.Errorf("%s is not what its digest says", desc.Digest)
	}
	return p, nil
}

// annotate adds annotations to the root, which gets another digest by that. All
// other fields keep their values, known here or not.
func (b *bundle) annotate(ctx context.Context, annotations map[string]string) error {
	if len(annotations) == 0 {
		return nil
	}
	if b.root.MediaType != ocispec.MediaTypeImageManifest && b.root.MediaType != ocispec.MediaTypeImageIndex {
		return fault.New(fault.Usage, errors.New("images of Docker's own type have no annotations"),
			"copy it to the OCI type with skopeo copy --format oci, or leave the annotations out")
	}
	p, err := b.document(ctx, b.root)
	if err != nil {
		return err
	}
	fields := map[string]json.RawMessage{}
	all := map[string]string{}
	if err := json.Unmarshal(p, &fields); err != nil {
		return err
	}
	if old, ok := fields["annotations"]; ok {
		if err := json.Unmarshal(old, &all); err != nil {
			return fmt.Errorf("parsing the annotations: %w", err)
		}
	}
	if all == nil { // it was null
		all = map[string]string{}
	}
	maps.Copy(all, annotations)
	if fields["annotations"], err = json.Marshal(all); err != nil {
		return err
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	b.documents = b.documents[:len(b.documents)-1]
	b.setRoot(text, b.root.MediaType, b.root.ArtifactType)
	return nil
}

// setRoot makes the root.
func (b *bundle) setRoot(text []byte, mediaType, artifactType string) {
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(text), Size: int64(len(text))}
	b.made[desc.Digest] = text
	b.documents = append(b.documents, desc)
	desc.ArtifactType = artifactType
	b.root = desc
}

// size is that of all blobs and documents, in bytes.
func (b *bundle) size() int64 {
	var n int64
	for _, list := range [][]ocispec.Descriptor{b.blobs, b.documents} {
		for _, d := range list {
			n += d.Size
		}
	}
	return n
}

// ReaderAt implements content.Provider.
func (b *bundle) ReaderAt(ctx context.Context, desc ocispec.Descriptor) (content.ReaderAt, error) {
	if p, ok := b.made[desc.Digest]; ok {
		return fromBytes(p), nil
	}
	if path, ok := b.files[desc.Digest]; ok {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		return file{f, desc.Size}, nil
	}
	if b.base == nil {
		return nil, fmt.Errorf("%s: %w", desc.Digest, fs.ErrNotExist)
	}
	return b.base.ReaderAt(ctx, desc)
}

// fromBytes reads a document that was made here.
func fromBytes(p []byte) content.ReaderAt {
	return part{io.NewSectionReader(bytes.NewReader(p), 0, int64(len(p)))}
}

// file reads a file of the size that it was digested with.
type file struct {
	*os.File
	size int64
}

// Size implements content.ReaderAt.
func (f file) Size() int64 { return f.size }
