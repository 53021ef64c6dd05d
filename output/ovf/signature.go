package ovf

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Signature is who signed a manifest. Whether to trust them is for the reader
// to say: no authority is asked, and no clock.
type Signature struct {
	// Signer and Issuer are the names in the certificate.
	Signer string `json:"signer"`
	Issuer string `json:"issuer"`
	// Fingerprint is the SHA-256 of the certificate, in hexadecimal.
	Fingerprint string `json:"fingerprint"`
	// SelfSigned means that only the signer vouches for the name.
	SelfSigned bool `json:"selfSigned,omitempty"`
	// The certificate is meant for the time between.
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
}

// verifySignature checks the file beside the manifest, if there is one, and
// tells in the verdict what is wrong with it.
func (p *Package) verifySignature(v *Verdict, manifestName string, manifest []byte) error {
	name := p.files.find(".cert")
	if name == "" {
		return nil
	}
	v.Signed = true
	r, n, err := p.files.open(name)
	if err != nil {
		return fmt.Errorf("opening the certificate: %w", err)
	}
	text, err := readAll(r, n, maxPEM)
	if err != nil {
		return fmt.Errorf("reading the certificate: %w", err)
	}
	signed, err := signature(text, manifestName, manifest)
	if err != nil {
		v.problem("%s: %v", name, err)
	}
	v.Signature = signed
	return nil
}

// signature reads the text of a NAME.cert and verifies it. Who signed is told
// also when the signature is wrong, if the text tells it.
func signature(text []byte, manifestName string, manifest []byte) (*Signature, error) {
	chain, err := certificates(text)
	if err != nil {
		return nil, err
	}
	c := chain[0]
	sum := sha256.Sum256(c.Raw)
	s := &Signature{
		Signer: c.Subject.String(), Issuer: c.Issuer.String(), Fingerprint: hex.EncodeToString(sum[:]),
		SelfSigned: bytes.Equal(c.RawSubject, c.RawIssuer) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil,
		NotBefore:  c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(),
	}
	for line := range strings.Lines(string(text)) {
		algorithm, file, value, ok := manifestEntry(strings.TrimSpace(line))
		if !ok {
			continue
		}
		if file != manifestName {
			return s, fmt.Errorf("it signs %s, not the manifest %s", file, manifestName)
		}
		return s, verify(c, algorithm, value, manifest)
	}
	return s, fmt.Errorf("there is no signature before the certificate")
}

// verify checks one signature, in hexadecimal.
func verify(c *x509.Certificate, algorithm, value string, manifest []byte) error {
	h, ok := hashes()[strings.ToLower(algorithm)]
	if !ok {
		return fmt.Errorf("the digest %s is not known", algorithm)
	}
	key, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("the key is one of %v, and only RSA is known", c.PublicKeyAlgorithm)
	}
	signed, err := hex.DecodeString(value)
	if err != nil {
		return fmt.Errorf("the signature is not in hexadecimal digits")
	}
	digest := h.New()
	digest.Write(manifest)
	if rsa.VerifyPKCS1v15(key, h.Hash, digest.Sum(nil), signed) != nil {
		return fmt.Errorf("the signature is not one of this manifest by %s", c.Subject)
	}
	return nil
}
