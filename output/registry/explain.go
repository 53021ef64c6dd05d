package registry

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/containerd/errdefs"

	"github.com/imgbuild/imgbuild/fault"
)

// Use is what a registry is asked for; errors are told in its words.
type Use struct {
	Kind fault.Kind
	// Denied is what the registry does not let us do: "read it".
	Denied string
	// Plain is the hint that tells how a registry without TLS is allowed, Trust
	// how a certificate is trusted; empty for none.
	Plain, Trust string
}

// Explain turns what can go wrong on the way to a registry into one clear
// error. An error that has a kind already stays as it is.
func (u Use) Explain(err error) error {
	if err == nil || known(err) {
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
		return u.fault(fmt.Errorf("the registry does not let us %s", u.Denied), "log in with docker login")
	case errdefs.IsNotFound(err):
		return u.fault(errors.New("there is no such image"), "check its name and tag")
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return u.fault(errors.New("the registry does not speak TLS"), u.Plain)
	case errors.As(err, &unknownCA):
		return u.fault(fmt.Errorf("the registry's certificate is not trusted: %w", unknownCA), u.Trust)
	case errors.As(err, &lookup):
		return u.fault(errors.New("the registry cannot be reached: its name is not known"), "check the name and the network")
	case errors.As(err, &op):
		return u.fault(fmt.Errorf("the registry cannot be reached: %w", op.Err), "check the name and the network")
	case errors.As(err, &status):
		return u.fault(fmt.Errorf("the registry answers %s", answer(status)))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return u.fault(fmt.Errorf("the image is cut short: %w", err))
	}
	return u.fault(err)
}

func (u Use) fault(err error, hints ...string) error {
	hints = slices.DeleteFunc(hints, func(h string) bool { return h == "" })
	return fault.New(u.Kind, err, hints...)
}

// answer is the status, with the reason that the registry gives (OCI
// Distribution Specification, "Error Codes").
func answer(status remoteerrors.ErrUnexpectedStatus) string {
	var body struct {
		Errors []struct{ Code, Message string }
	}
	if json.Unmarshal(status.Body, &body) != nil || len(body.Errors) == 0 {
		return status.Status
	}
	return fmt.Sprintf("%s: %s", status.Status, body.Errors[0].Message)
}
