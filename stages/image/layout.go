package image

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images/archive"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// layout is a folder in the OCI image layout.
type layout struct {
	dir, tag string
	index    ocispec.Index
}

// openLayout takes FOLDER or FOLDER:TAG.
func openLayout(ref string) (source, error) {
	l := layout{dir: ref}
	if _, err := os.Stat(ref); err != nil {
		if i := strings.LastIndexByte(ref, ':'); i > 0 {
			l.dir, l.tag = ref[:i], ref[i+1:]
		}
	}
	data, err := os.ReadFile(filepath.Join(l.dir, ocispec.ImageIndexFile))
	if err == nil {
		err = json.Unmarshal(data, &l.index)
	}
	if err != nil {
		return nil, fault.New(fault.Input, fmt.Errorf("opening the OCI layout %s: %w", l.dir, err))
	}
	return l, nil
}

// root follows source. The tag may be left out when there is but one image.
func (l layout) root(context.Context, digest.Digest) (ocispec.Descriptor, error) {
	var tags []string
	for _, m := range l.index.Manifests {
		tag := m.Annotations[ocispec.AnnotationRefName]
		if l.tag != "" && tag == l.tag || l.tag == "" && len(l.index.Manifests) == 1 {
			return m, nil
		}
		tags = append(tags, tag)
	}
	if l.tag == "" {
		return ocispec.Descriptor{}, fault.New(fault.Input, fmt.Errorf("the layout holds %d images", len(tags)),
			"name one as oci:FOLDER:TAG, of "+strings.Join(tags, ", "))
	}
	return ocispec.Descriptor{}, fault.New(fault.Input, fmt.Errorf("the layout has no tag %s", l.tag),
		"it has "+strings.Join(tags, ", "))
}

// Fetch opens a blob.
func (l layout) Fetch(_ context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	return os.Open(filepath.Join(l.dir, ocispec.ImageBlobsDir, desc.Digest.Algorithm().String(), desc.Digest.Encoded()))
}

// archiveFile is an archive of docker save or of an OCI layout. It is read as
// a whole: there is no other way to know what is in it.
type archiveFile struct {
	path  string
	store content.Store
}

// root imports the archive into the store.
func (a archiveFile) root(ctx context.Context, _ digest.Digest) (ocispec.Descriptor, error) {
	f, err := os.Open(a.path)
	if err != nil {
		return ocispec.Descriptor{}, fault.New(fault.Input, err)
	}
	defer f.Close()
	index, err := archive.ImportIndex(ctx, a.store, f)
	if err != nil {
		return index, fault.New(fault.Input, fmt.Errorf("importing the archive: %w", err),
			"an archive is made by docker save, or by skopeo copy to docker-archive or oci-archive")
	}
	return index, nil
}

// Fetch is asked only for what the archive lacks.
func (a archiveFile) Fetch(_ context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	return nil, fault.New(fault.Input, fmt.Errorf("the archive does not hold %s", desc.Digest))
}
