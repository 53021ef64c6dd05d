package image

import (
	"context"
	"fmt"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/registry"
)

// remote is an image in a registry.
type remote struct {
	named    reference.Named
	resolver remotes.Resolver
	remotes.Fetcher
}

// reading is what a registry is asked for.
var reading = registry.Use{
	Kind:   fault.Input,
	Denied: "read it",
	Plain:  "set runtime.oci.plainHTTP if you trust the network on the way",
}

func (c *Client) registry(ref string) (source, error) {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return nil, fault.New(fault.Input, fmt.Errorf("image reference %q: %w", ref, err),
			"a reference is name:tag, name@digest, oci:FOLDER[:TAG] or archive:FILE")
	}
	client, err := registry.New(registry.Options{PlainHTTP: c.o.PlainHTTP})
	if err != nil {
		return nil, err
	}
	resolver := client.Resolver()
	fetcher, err := resolver.Fetcher(context.Background(), named.String())
	if err != nil {
		return nil, fault.New(fault.Input, fmt.Errorf("image reference %q: %w", ref, err))
	}
	return remote{named, resolver, fetcher}, nil
}

// root follows source.
func (r remote) root(ctx context.Context, pinned digest.Digest) (ocispec.Descriptor, error) {
	ref := r.named
	if pinned != "" {
		var err error
		if ref, err = reference.WithDigest(reference.TrimNamed(r.named), pinned); err != nil {
			return ocispec.Descriptor{}, err
		}
	}
	_, desc, err := r.resolver.Resolve(ctx, ref.String())
	return desc, err
}
