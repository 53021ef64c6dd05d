package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/output/layout"
)

// Image is a container image.
type Image struct {
	// Names are the references it is called by.
	Names []string `json:"names,omitempty"`
	// Digest is that of the manifest; what `docker save` writes has none.
	Digest       string            `json:"digest,omitempty"`
	Platform     string            `json:"platform,omitempty"` // "linux/amd64"
	Created      *time.Time        `json:"created,omitempty"`
	User         string            `json:"user,omitempty"`
	Entrypoint   []string          `json:"entrypoint,omitempty"`
	Cmd          []string          `json:"cmd,omitempty"`
	Env          []string          `json:"env,omitempty"`
	WorkingDir   string            `json:"workingDir,omitempty"`
	ExposedPorts []string          `json:"exposedPorts,omitempty"`
	Volumes      []string          `json:"volumes,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
	Layers       []Layer           `json:"layers"`
	// Problems say which blobs are missing or not what they are called.
	Problems []string `json:"problems,omitempty"`
}

// Layer is a layer of an image, the lowest first.
type Layer struct {
	Digest    string `json:"digest"` // or its file, in what `docker save` writes
	MediaType string `json:"mediaType,omitempty"`
	Size      int64  `json:"size"` // bytes, as it is stored
}

const (
	maxImages = 256
	maxLayers = 1024
	maxNested = 4 // indexes within indexes
)

// Images reads the container images of a layout, and verifies their blobs.
func Images(ctx context.Context, l *layout.Layout) ([]Image, error) {
	r := &Report{}
	err := r.readLayout(ctx, l)
	return r.Images, err
}

// readLayout inspects the images of an archive.
func (r *Report) readLayout(ctx context.Context, l *layout.Layout) error {
	if _, _, err := l.Open(layout.IndexName); errors.Is(err, fs.ErrNotExist) {
		return r.readSaved(l)
	}
	var index ocispec.Index
	if err := l.Decode(layout.IndexName, &index); err != nil {
		return err
	}
	if err := r.addIndex(ctx, l, index, nil, 0); err != nil {
		return err
	}
	if len(r.Images) == 0 {
		return errors.New("its index lists no image")
	}
	return nil
}

// addIndex adds the images of an index and of those in it. names are what the
// index is called.
func (r *Report) addIndex(ctx context.Context, l *layout.Layout, index ocispec.Index, names []string, depth int) error {
	if depth > maxNested {
		return fmt.Errorf("its indexes nest deeper than %d", maxNested)
	}
	for _, d := range index.Manifests {
		if len(r.Images) == maxImages {
			return fmt.Errorf("it holds more than %d images", maxImages)
		}
		called := slices.Clone(names)
		for _, key := range []string{"io.containerd.image.name", ocispec.AnnotationRefName} {
			if name := d.Annotations[key]; name != "" {
				called = append(called, name)
				break
			}
		}
		name, err := layout.Blob(d.Digest)
		if err != nil {
			return err
		}
		if d.MediaType == ocispec.MediaTypeImageIndex || strings.HasSuffix(d.MediaType, ".manifest.list.v2+json") {
			var inner ocispec.Index
			if err := l.Decode(name, &inner); err != nil {
				return err
			}
			if err := r.addIndex(ctx, l, inner, called, depth+1); err != nil {
				return err
			}
			continue
		}
		im := Image{Names: called, Digest: d.Digest.String(), Layers: []Layer{}}
		if err := im.read(ctx, l, d, name); err != nil {
			return err
		}
		r.Images = append(r.Images, im)
	}
	return nil
}

// read reads an image by its manifest, and digests its blobs.
func (im *Image) read(ctx context.Context, l *layout.Layout, d ocispec.Descriptor, name string) error {
	var m ocispec.Manifest
	if err := l.Decode(name, &m); err != nil {
		return err
	}
	if len(m.Layers) > maxLayers {
		return fmt.Errorf("an image has %d layers, more than %d", len(m.Layers), maxLayers)
	}
	for _, b := range slices.Concat([]ocispec.Descriptor{d, m.Config}, m.Layers) {
		problem, err := check(ctx, l, b)
		if err != nil {
			return err
		}
		if problem != "" {
			im.Problems = append(im.Problems, problem)
		}
	}
	for _, b := range m.Layers {
		im.Layers = append(im.Layers, Layer{b.Digest.String(), b.MediaType, b.Size})
	}
	config, err := layout.Blob(m.Config.Digest)
	if err != nil {
		return err
	}
	// Artifacts that are no images have configurations of their own kinds.
	if !strings.Contains(m.Config.MediaType, "image") {
		return nil
	}
	return im.configure(l, config)
}

// check compares a blob with its descriptor, and says what is wrong.
func check(ctx context.Context, l *layout.Layout, d ocispec.Descriptor) (problem string, err error) {
	name, err := layout.Blob(d.Digest)
	if err != nil {
		return "", err
	}
	r, n, err := l.Open(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("%s is missing", d.Digest), nil
	case err != nil:
		return "", fmt.Errorf("opening %s: %w", name, err)
	case n != d.Size:
		return fmt.Sprintf("%s has %d bytes, its descriptor says %d", d.Digest, n, d.Size), nil
	case !d.Digest.Algorithm().Available():
		return fmt.Sprintf("%s: the digest cannot be verified", d.Digest), nil
	}
	v := d.Digest.Verifier()
	section := io.NewSectionReader(r, 0, n)
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		const step = 4 << 20
		if _, err := io.CopyN(v, section, step); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return "", fmt.Errorf("digesting %s: %w", name, err)
		}
	}
	if !v.Verified() {
		return fmt.Sprintf("%s is not what its digest says", d.Digest), nil
	}
	return "", nil
}

// configure takes over the configuration of an image.
func (im *Image) configure(l *layout.Layout, name string) error {
	var c ocispec.Image
	if err := l.Decode(name, &c); err != nil {
		return err
	}
	im.Created, im.Platform = c.Created, c.OS+"/"+c.Architecture
	if c.Variant != "" {
		im.Platform += "/" + c.Variant
	}
	im.User, im.WorkingDir, im.Labels = c.Config.User, c.Config.WorkingDir, c.Config.Labels
	im.Entrypoint, im.Cmd, im.Env = c.Config.Entrypoint, c.Config.Cmd, c.Config.Env
	im.ExposedPorts, im.Volumes = sorted(c.Config.ExposedPorts), sorted(c.Config.Volumes)
	return nil
}

func sorted(set map[string]struct{}) []string {
	var list []string
	for name := range set {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// readSaved inspects what `docker save` wrote before it knew of OCI layouts.
func (r *Report) readSaved(l *layout.Layout) error {
	var images []struct {
		Config           string
		RepoTags, Layers []string
	}
	if err := l.Decode(layout.SaveName, &images); err != nil {
		return err
	}
	if len(images) == 0 || len(images) > maxImages {
		return fmt.Errorf("it lists %d images", len(images))
	}
	for _, s := range images {
		if len(s.Layers) > maxLayers {
			return fmt.Errorf("an image has %d layers, more than %d", len(s.Layers), maxLayers)
		}
		im := Image{Names: s.RepoTags, Layers: []Layer{}}
		if err := im.configure(l, s.Config); err != nil {
			return err
		}
		for _, name := range s.Layers {
			_, n, err := l.Open(name)
			if err != nil {
				im.Problems = append(im.Problems, name+" is missing")
			}
			im.Layers = append(im.Layers, Layer{Digest: name, Size: n})
		}
		r.Images = append(r.Images, im)
	}
	return nil
}
