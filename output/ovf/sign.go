package ovf

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
)

const (
	// maxPEM bounds the files of a certificate and of a key, in bytes.
	maxPEM = 1 << 20
	// leastBits is what a key must have: importers refuse shorter ones.
	leastBits = 2048

	pemCertificate = "CERTIFICATE"
)

// signer signs manifests.
type signer struct {
	key *rsa.PrivateKey
	// chain is the certificate in PEM, followed by those that vouch for it.
	chain []byte
}

// openSigner reads the files of the options. Without any it returns nil.
func openSigner(o Options) (*signer, error) {
	if o.Certificate == "" && o.Key == "" {
		return nil, nil
	}
	if o.Certificate == "" || o.Key == "" {
		return nil, fault.New(fault.Recipe, errors.New("a signature needs both a certificate and a key"), "give both options, or none")
	}
	chain, first, err := readChain(o.Certificate)
	if err != nil {
		return nil, fault.New(fault.Input, fmt.Errorf("certificate: reading %s: %w", o.Certificate, err),
			"it is a file in PEM: the certificate first, then those that vouch for it")
	}
	key, err := readKey(o.Key)
	if err != nil {
		return nil, fault.New(fault.Input, fmt.Errorf("key: reading %s: %w", o.Key, err),
			"it is the RSA key of the certificate, in PEM and without a passphrase: `openssl pkey -in KEY -out PLAIN` removes one")
	}
	if public, ok := first.PublicKey.(*rsa.PublicKey); !ok || !key.PublicKey.Equal(public) {
		return nil, fault.New(fault.Input, fmt.Errorf("key: %s does not belong to the certificate %s", o.Key, first.Subject),
			"the certificate of the key comes first in its file")
	}
	return &signer{key, chain}, nil
}

// readChain returns the certificates of a file, in PEM and without what else
// the file says, and the first of them.
func readChain(path string) ([]byte, *x509.Certificate, error) {
	text, err := readPEM(path)
	if err != nil {
		return nil, nil, err
	}
	certificates, err := certificates(text)
	if err != nil {
		return nil, nil, err
	}
	var chain bytes.Buffer
	for _, c := range certificates {
		if err := pem.Encode(&chain, &pem.Block{Type: pemCertificate, Bytes: c.Raw}); err != nil {
			return nil, nil, err
		}
	}
	return chain.Bytes(), certificates[0], nil
}

// certificates parses those that text holds, of which there is one at least.
func certificates(text []byte) ([]*x509.Certificate, error) {
	const most = 32
	var list []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != pemCertificate {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		if list = append(list, c); len(list) > most {
			return nil, fmt.Errorf("there are more than %d certificates", most)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("there is no certificate")
	}
	return list, nil
}

func readKey(path string) (*rsa.PrivateKey, error) {
	text, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		var key any
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY", block.Headers["DEK-Info"] != "":
			return nil, errors.New("the key has a passphrase")
		case block.Type == "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case block.Type == "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		k, ok := key.(*rsa.PrivateKey)
		if !ok {
			return nil, errors.New("the key is not one of RSA")
		}
		if k.N.BitLen() < leastBits {
			return nil, fmt.Errorf("the key has %d bits, fewer than %d", k.N.BitLen(), leastBits)
		}
		return k, nil
	}
	return nil, errors.New("there is no private key")
}

// readPEM reads a small file.
func readPEM(path string) ([]byte, error) {
	f, err := disk.OpenFile(path)
	if err != nil {
		var at *os.PathError
		if errors.As(err, &at) { // the path is told already
			err = at.Err
		}
		return nil, err
	}
	defer f.Close()
	return readAll(f, f.Size(), maxPEM)
}

// certificate returns the text of NAME.cert: the signature of the manifest,
// and who made it (DSP0243 section 5.1). The signature is that of PKCS #1
// version 1.5, which is the same each time.
func (s *signer) certificate(h hash, manifestName string, manifest []byte) ([]byte, error) {
	digest := h.New()
	digest.Write(manifest)
	signature, err := rsa.SignPKCS1v15(nil, s.key, h.Hash, digest.Sum(nil))
	if err != nil {
		return nil, fmt.Errorf("signing the manifest: %w", err)
	}
	line := h.manifestLine(manifestName, hex.EncodeToString(signature))
	return append([]byte(line), s.chain...), nil
}
