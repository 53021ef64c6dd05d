// Package registry is how imgbuild talks to container registries, to read from
// them and to push to them: over TLS, or without it on the loopback, with the
// credentials that docker login left, and with errors that say what to do.
//
// The protocol itself is containerd's; it follows the OCI Distribution
// Specification 1.1.
package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/log"
	"github.com/sirupsen/logrus"

	"github.com/imgbuild/imgbuild/fault"
)

// Options of a [Client].
type Options struct {
	// PlainHTTP allows registries without TLS. Those on the loopback need no
	// permission.
	PlainHTTP bool
	// CA is a file of certificates in PEM that are trusted beside the system's;
	// empty for none.
	CA string
	// Username and Password stand for what docker login left, if a password is
	// given. A token comes with an empty user.
	Username, Password string
	// Wrap, when not nil, is put around the way that requests take.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// Client knows how registries are reached. It is safe for concurrent use.
type Client struct {
	hosts docker.RegistryHosts
}

// New returns a client. A file of certificates that cannot be read is an error
// of kind fault.Usage.
func New(o Options) (*Client, error) {
	trust, err := o.trust()
	if err != nil {
		return nil, err
	}
	var way http.RoundTripper = docker.DefaultHTTPTransport(trust)
	if o.Wrap != nil {
		way = o.Wrap(way)
	}
	plain := docker.MatchLocalhost
	if o.PlainHTTP {
		plain = docker.MatchAllHosts
	}
	web := &http.Client{Transport: way}
	return &Client{docker.ConfigureDefaultRegistries(
		docker.WithPlainHTTP(plain),
		docker.WithClient(web),
		docker.WithAuthorizer(docker.NewDockerAuthorizer(docker.WithAuthClient(web), docker.WithAuthCreds(o.login))),
	)}, nil
}

// Resolver returns a way to resolve, fetch and push. Each one remembers for
// itself what it has pushed.
func (c *Client) Resolver() remotes.Resolver {
	return docker.NewResolver(docker.ResolverOptions{Hosts: c.hosts})
}

// login returns the credentials for a registry.
func (o Options) login(host string) (user, secret string, err error) {
	if o.Password != "" {
		return o.Username, o.Password, nil
	}
	return credentials(host)
}

// trust returns the system's certificates and those of the options; nil for the
// system's alone.
func (o Options) trust() (*tls.Config, error) {
	if o.CA == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(o.CA)
	if err != nil {
		return nil, fault.New(fault.Usage, fmt.Errorf("reading the certificates to trust: %w", err), "check the path")
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fault.New(fault.Usage, fmt.Errorf("%s holds no certificate", o.CA), "name a file in PEM: -----BEGIN CERTIFICATE-----")
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// Quiet keeps containerd, which logs what it returns as an error too, from
// writing to the terminal.
func Quiet(ctx context.Context) context.Context {
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	return log.WithLogger(ctx, logrus.NewEntry(logger))
}

// known reports whether an error needs no more words: it has a kind already, or
// the user ended the run.
func known(err error) bool {
	var f *fault.Error
	return errors.As(err, &f) || errors.Is(err, context.Canceled)
}
