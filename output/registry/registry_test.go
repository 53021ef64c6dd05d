package registry_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/registry"
)

// anywhere reaches the loopback too, but is not one of its names: registries
// there are asked for TLS.
const anywhere = "0.0.0.0"

// certificate makes one that nobody has signed.
func certificate(t *testing.T) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.ParseIP(anywhere)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// resolve asks for an image that is not there.
func resolve(t *testing.T, o registry.Options, addr net.Addr) error {
	t.Helper()
	c, err := registry.New(o)
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = c.Resolver().Resolve(registry.Quiet(t.Context()), anywhere+":"+port+"/none:1")
	return err
}

var blob = ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayer, Digest: digest.FromString("x"), Size: 1}

var use = registry.Use{Kind: fault.Publish, Denied: "push", Plain: "PLAIN", Trust: "TRUST"}

func wantFault(t *testing.T, err error, message, hint string) {
	t.Helper()
	err = use.Explain(err)
	if fault.KindOf(err) != fault.Publish || !strings.Contains(err.Error(), message) || strings.Join(fault.HintsOf(err), "") != hint {
		t.Errorf("%v, hints %q; want %q, hint %q", err, fault.HintsOf(err), message, hint)
	}
}

// TestTLS trusts a certificate that is named, and no other.
func TestTLS(t *testing.T) {
	own, text := certificate(t)
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{Certificates: []tls.Certificate{own}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of those who do not trust it
	s.StartTLS()
	t.Cleanup(s.Close)
	wantFault(t, resolve(t, registry.Options{}, s.Listener.Addr()), "the registry's certificate is not trusted", "TRUST")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := resolve(t, registry.Options{CA: ca}, s.Listener.Addr()); !errdefs.IsNotFound(err) {
		t.Errorf("with the certificate: %v", err)
	}
}

// TestPlainHTTP must be allowed, away from the loopback.
func TestPlainHTTP(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	wantFault(t, resolve(t, registry.Options{}, s.Listener.Addr()), "the registry does not speak TLS", "PLAIN")
	if err := resolve(t, registry.Options{PlainHTTP: true}, s.Listener.Addr()); !errdefs.IsNotFound(err) {
		t.Errorf("allowed: %v", err)
	}
}

// TestAnswer takes over the reason that a registry gives.
func TestAnswer(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.WriteHeader(http.StatusInsufficientStorage)
		w.Write([]byte(`{"errors":[{"code":"DENIED","message":"the quota is used up"}]}`))
	}))
	t.Cleanup(s.Close)
	c, err := registry.New(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx := registry.Quiet(t.Context())
	fetcher, err := c.Resolver().Fetcher(ctx, strings.TrimPrefix(s.URL, "http://")+"/hello:1")
	if err != nil {
		t.Fatal(err)
	}
	r, err := fetcher.Fetch(ctx, blob)
	if err == nil {
		_, err = io.ReadAll(r)
	}
	wantFault(t, err, "the registry answers 507 Insufficient Storage: the quota is used up", "")
}
