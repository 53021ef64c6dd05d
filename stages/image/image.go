// Package image brings container images into the store: from a registry, from
// an OCI layout, or from an archive made by docker save.
//
// A reference says where an image is:
//
//	registry.example.org/app:1.2         a registry's tag; also name@digest
//	oci:FOLDER[:TAG]                     an OCI image layout
//	archive:FILE                         an archive of docker save, or of a layout
//
// [Client.Resolve] finds the manifest for linux/amd64 and gives its digest,
// for the lock. [Client.Fetch] brings exactly that manifest, its configuration
// and its layers. All bytes are checked against their digests; a download that
// was cut off goes on where it stopped.
package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/hashicorp/go-hclog"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/registry"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// Options of a [Client].
type Options struct {
	// Store takes what is fetched.
	Store content.Store
	// PlainHTTP allows registries without TLS. Those on the loopback need no
	// permission.
	PlainHTTP bool
	Log       hclog.Logger
}

// Client resolves and fetches images. It is safe for concurrent use.
type Client struct {
	o Options
}

// New returns a client.
func New(o Options) *Client {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	return &Client{o}
}

// Image is a fetched image. What its descriptors point to is in the store.
type Image struct {
	Manifest ocispec.Descriptor
	Config   ocispec.Image
	Layers   []ocispec.Descriptor // lowest first
}

// source is where an image comes from.
type source interface {
	// root returns the descriptor that a reference stands for. With a pinned
	// digest it may return that manifest itself.
	root(ctx context.Context, pinned digest.Digest) (ocispec.Descriptor, error)
	remotes.Fetcher
}

// maxDocument bounds manifests, indexes and configurations, in bytes.
const maxDocument = 8 << 20

// parallel is how many layers are fetched at once.
const parallel = 3

// Resolve returns the digest of the manifest for linux/amd64. A source that
// cannot be reached, an unknown reference and an image for other platforms are
// errors of kind fault.Input.
func (c *Client) Resolve(ctx context.Context, ref string) (digest.Digest, error) {
	s, err := c.source(ref)
	if err != nil {
		return "", err
	}
	desc, err := c.manifest(registry.Quiet(ctx), s, "")
	if err != nil {
		return "", fmt.Errorf("resolving image %s: %w", ref, reading.Explain(err))
	}
	return desc.Digest, nil
}

// Fetch brings the image with the locked digest into the store. A reference
// that now stands for another image, when the locked one is no longer there,
// is an error of kind fault.Input.
func (c *Client) Fetch(ctx context.Context, ref string, locked digest.Digest) (*Image, error) {
	if err := locked.Validate(); err != nil {
		return nil, fault.New(fault.Input, fmt.Errorf("the lock of image %s: %w", ref, err))
	}
	s, err := c.source(ref)
	if err != nil {
		return nil, err
	}
	img, err := c.fetch(registry.Quiet(ctx), s, locked)
	if err != nil {
		return nil, fmt.Errorf("fetching image %s: %w", ref, reading.Explain(err))
	}
	return img, nil
}

func (c *Client) fetch(ctx context.Context, s source, locked digest.Digest) (*Image, error) {
	desc, err := c.manifest(ctx, s, locked)
	if err != nil {
		return nil, err
	}
	if desc.Digest != locked {
		return nil, drift(locked, desc.Digest)
	}
	var m ocispec.Manifest
	if err := c.read(ctx, s, desc, &m); err != nil {
		return nil, err
	}
	img := &Image{Manifest: desc, Layers: m.Layers}
	if err := c.read(ctx, s, m.Config, &img.Config); err != nil {
		return nil, err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	seen := map[digest.Digest]bool{}
	for _, l := range m.Layers {
		if !images.IsLayerType(l.MediaType) {
			return nil, fault.New(fault.Input, fmt.Errorf("layer %s has the unknown type %s", l.Digest, l.MediaType))
		}
		if seen[l.Digest] {
			continue
		}
		seen[l.Digest] = true
		g.Go(func() error { return c.get(gctx, s, l) })
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return img, nil
}

func drift(locked, now digest.Digest) error {
	return fault.New(fault.Input, fmt.Errorf("it differs from its lock: it is %s now, locked is %s", now, locked),
		"run `imgbuild lock` to take the image as it is now")
}

// manifest finds the manifest for our platform, or the pinned one.
func (c *Client) manifest(ctx context.Context, s source, pinned digest.Digest) (ocispec.Descriptor, error) {
	root, err := s.root(ctx, pinned)
	if pinned != "" && errdefs.IsNotFound(err) {
		// Not there any more; what there is now makes the better message.
		root, err = s.root(ctx, "")
	}
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return c.choose(ctx, s, root, 0)
}

// choose goes down from an index to the manifest for linux/amd64.
func (c *Client) choose(ctx context.Context, s source, desc ocispec.Descriptor, depth int) (ocispec.Descriptor, error) {
	want := platforms.OnlyStrict(ocispec.Platform{OS: "linux", Architecture: "amd64"})
	switch {
	case images.IsManifestType(desc.MediaType):
		var m ocispec.Manifest
		if err := c.read(ctx, s, desc, &m); err != nil {
			return desc, err
		}
		var config ocispec.Image
		if err := c.read(ctx, s, m.Config, &config); err != nil {
			return desc, err
		}
		if !want.Match(platforms.Normalize(config.Platform)) {
			return desc, otherPlatform([]string{platforms.Format(config.Platform)})
		}
		return desc, nil
	case !images.IsIndexType(desc.MediaType):
		return desc, fault.New(fault.Input, fmt.Errorf("it is no image but %s", desc.MediaType))
	case depth == 3:
		return desc, fault.New(fault.Input, errors.New("its indexes are nested too deeply"))
	}
	var index ocispec.Index
	if err := c.read(ctx, s, desc, &index); err != nil {
		return desc, err
	}
	var others []string
	for _, m := range index.Manifests {
		if m.Platform == nil || want.Match(platforms.Normalize(*m.Platform)) {
			return c.choose(ctx, s, m, depth+1)
		}
		others = append(others, platforms.Format(*m.Platform))
	}
	return desc, otherPlatform(others)
}

func otherPlatform(others []string) error {
	return fault.New(fault.Input, fmt.Errorf("it is not for linux/amd64 but for %s", strings.Join(others, ", ")))
}

// read fetches a JSON document.
func (c *Client) read(ctx context.Context, s source, desc ocispec.Descriptor, v any) error {
	if desc.Size > maxDocument {
		return fault.New(fault.Input, fmt.Errorf("%s is larger than %d bytes", desc.Digest, maxDocument))
	}
	if err := c.get(ctx, s, desc); err != nil {
		return err
	}
	data, err := content.ReadBlob(ctx, c.o.Store, desc)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fault.New(fault.Input, fmt.Errorf("reading %s: %w", desc.Digest, err))
	}
	return nil
}

// get brings a blob into the store if it is not there.
func (c *Client) get(ctx context.Context, s source, desc ocispec.Descriptor) error {
	if err := desc.Digest.Validate(); err != nil {
		return fault.New(fault.Input, fmt.Errorf("a descriptor of the image: %w", err))
	}
	c.o.Log.Debug("fetching", "digest", desc.Digest, "size", desc.Size)
	err := remotes.Fetch(ctx, c.o.Store, s, desc)
	if errdefs.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// source finds out where a reference points to.
func (c *Client) source(ref string) (source, error) {
	if rest, ok := strings.CutPrefix(ref, "oci:"); ok {
		return openLayout(rest)
	}
	if rest, ok := strings.CutPrefix(ref, "archive:"); ok {
		return archiveFile{path: rest, store: c.o.Store}, nil
	}
	return c.registry(ref)
}
