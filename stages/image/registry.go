package image

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// registry is an image in a registry.
type registry struct {
	named    reference.Named
	resolver remotes.Resolver
	remotes.Fetcher
}

func (c *Client) registry(ref string) (source, error) {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return nil, fault.New(fault.Input, fmt.Errorf("image reference %q: %w", ref, err),
			"a reference is name:tag, name@digest, oci:FOLDER[:TAG] or archive:FILE")
	}
	plain := docker.MatchLocalhost
	if c.o.PlainHTTP {
		plain = docker.MatchAllHosts
	}
	resolver := docker.NewResolver(docker.ResolverOptions{
		Hosts: docker.ConfigureDefaultRegistries(
			docker.WithPlainHTTP(plain),
			docker.WithAuthorizer(docker.NewDockerAuthorizer(docker.WithAuthCreds(credentials))),
		),
	})
	fetcher, err := resolver.Fetcher(context.Background(), named.String())
	if err != nil {
		return nil, fault.New(fault.Input, fmt.Errorf("image reference %q: %w", ref, err))
	}
	return registry{named, resolver, fetcher}, nil
}

// root follows source.
func (r registry) root(ctx context.Context, pinned digest.Digest) (ocispec.Descriptor, error) {
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

// explain turns what can go wrong on the way to a registry into one clear
// error. An error that has a kind already stays as it is.
func explain(err error) error {
	var known *fault.Error
	if errors.As(err, &known) || errors.Is(err, context.Canceled) {
		return err
	}
	var status remoteerrors.ErrUnexpectedStatus
	var unknownCA x509.UnknownAuthorityError
	var record tls.RecordHeaderError
	var op *net.OpError
	var lookup *net.DNSError
	switch {
	case errors.Is(err, docker.ErrInvalidAuthorization), errdefs.IsUnauthorized(err),
		errors.As(err, &status) && (status.StatusCode == http.StatusUnauthorized || status.StatusCode == http.StatusForbidden):
		return fault.New(fault.Input, errors.New("the registry does not let us read it"), "log in with docker login")
	case errdefs.IsNotFound(err):
		return fault.New(fault.Input, errors.New("there is no such image"), "check its name and tag")
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fault.New(fault.Input, errors.New("the registry does not speak TLS"),
			"set runtime.oci.plainHTTP if you trust the network on the way")
	case errors.As(err, &unknownCA):
		return fault.New(fault.Input, fmt.Errorf("the registry's certificate is not trusted: %w", unknownCA))
	case errors.As(err, &lookup):
		return fault.New(fault.Input, errors.New("the registry cannot be reached: its name is not known"), "check the name and the network")
	case errors.As(err, &op):
		return fault.New(fault.Input, fmt.Errorf("the registry cannot be reached: %w", op.Err), "check the name and the network")
	case errors.As(err, &status):
		return fault.New(fault.Input, fmt.Errorf("the registry answers %s", status.Status))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fault.New(fault.Input, fmt.Errorf("the image is cut short: %w", err))
	}
	return fault.New(fault.Input, err)
}
