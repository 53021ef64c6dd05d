package carve

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// measurePEM runs from the label to the line that ends it (RFC 7468).
func measurePEM(v *View) (Found, bool) {
	const begin, maxLabel = "-----BEGIN ", 64
	b := v.Bytes(0, int(min(maxLabel+16, v.Len())))
	if len(b) < len(begin) {
		return none()
	}
	label, _, ok := strings.Cut(string(b[len(begin):]), "-----")
	if !ok || label == "" || strings.ToUpper(label) != label {
		return none()
	}
	f := Found{Detail: label, Confidence: Medium}
	switch {
	case strings.Contains(label, "PRIVATE KEY"):
		f.Name, f.Title = "key", "private key"
	case strings.Contains(label, "CERTIFICATE REQUEST"):
		f.Name, f.Title = "csr", "certificate request"
	case strings.Contains(label, "CERTIFICATE"):
		f.Name, f.Title = "crt", "certificate"
	}
	end := v.Index(int64(len(begin)), "-----END "+label+"-----", begin)
	if end < 0 || end > 1<<20 {
		return none()
	}
	f.Size = end + int64(len("-----END ")+len(label)+len("-----"))
	if b := v.Bytes(f.Size, 1); b != nil && b[0] == '\n' {
		f.Size++
	}
	if body := v.Bytes(int64(len(begin)+len(label)+5), 48); body != nil && IsText(body) && f.Size > 100 {
		f.Confidence = High
	}
	return f, true
}

// derLength reads the header of an element and returns the length of header
// and content (X.690, section 8.1.3); 0 when it is not definite and short.
func derLength(b []byte) int64 {
	switch {
	case len(b) < 4:
		return 0
	case b[1] < 0x80:
		return 2 + int64(b[1])
	case b[1] == 0x81:
		return 3 + int64(b[2])
	case b[1] == 0x82:
		return 4 + int64(binary.BigEndian.Uint16(b[2:]))
	}
	return 0
}

// measureDER checks the length of the outer sequence, and that the inner
// element which the anchor is lies at its beginning.
func measureDER(v *View) (Found, bool) {
	b := v.Bytes(0, 4)
	if b == nil || b[0] != 0x30 {
		return none()
	}
	n := derLength(b)
	if n < 32 || n > v.Len() {
		return none()
	}
	return found(n, High)
}

// measurePKCS8 looks at the algorithm of a private key (RFC 5958, section 2).
func measurePKCS8(v *View) (Found, bool) {
	f, ok := measureDER(v)
	b := v.Bytes(0, 32)
	if !ok || b == nil {
		return none()
	}
	for oid, name := range map[string]string{
		"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01": "RSA", "\x2a\x86\x48\xce\x3d\x02\x01": "EC", "\x2a\x86\x48\xce\x38\x04\x01": "DSA",
		"\x06\x03\x2b\x65\x70": "Ed25519", "\x06\x03\x2b\x65\x71": "Ed448", "\x06\x03\x2b\x65\x6e": "X25519", "\x06\x03\x2b\x65\x6f": "X448",
	} {
		if bytes.Contains(b, []byte(oid)) {
			f.Detail = name
			return f, true
		}
	}
	return none()
}

// measureJKS checks the version and the first entry (sun.security.provider
// JavaKeyStore).
func measureJKS(v *View) (Found, bool) {
	be := binary.BigEndian
	h := v.Bytes(0, 14)
	if h == nil || be.Uint32(h[4:]) != 1 && be.Uint32(h[4:]) != 2 {
		return none()
	}
	entries, kind, name := be.Uint32(h[8:]), uint32(0), 0
	if b := v.Bytes(12, 6); b != nil {
		kind, name = be.Uint32(b), int(be.Uint16(b[4:]))
	}
	if entries == 0 || entries > 1<<16 || kind < 1 || kind > 3 || name > 1024 {
		return none()
	}
	f := Found{Size: 18, Confidence: Medium}
	w := jksWalk{v: v, off: 12}
	for range entries {
		if !w.entry() {
			f.Size = min(w.off, v.Len())
			return f, true
		}
	}
	const digest = 20
	return fits(v, w.off+digest)
}

type jksWalk struct {
	v   *View
	off int64
}

// skip steps over a length of size bytes and what it counts.
func (w *jksWalk) skip(size int64) bool {
	b := w.v.Bytes(w.off, int(size))
	if b == nil {
		return false
	}
	n := int64(0)
	for _, c := range b {
		n = n<<8 | int64(c)
	}
	w.off += size + n
	return w.off <= w.v.Len()
}

func (w *jksWalk) entry() bool {
	b := w.v.Bytes(w.off, 4)
	if b == nil || b[3] != 1 && b[3] != 2 {
		return false
	}
	w.off += 4
	if !w.skip(2) {
		return false
	}
	w.off += 8 // the date
	certs := uint32(1)
	if b[3] == 1 {
		if !w.skip(4) {
			return false
		}
		n := w.v.Bytes(w.off, 4)
		if n == nil {
			return false
		}
		certs = min(binary.BigEndian.Uint32(n), 64)
		w.off += 4
	}
	for range certs {
		if !w.skip(2) || !w.skip(4) {
			return false
		}
	}
	return true
}

// measureSSHKey accepts a public key of ssh(1): a type, base64, a comment.
func measureSSHKey(v *View) (Found, bool) {
	n := int64(0)
	for n < 2048 {
		b := v.Bytes(n, 1)
		if b == nil || b[0] == '\n' || !textBytes[b[0]] {
			break
		}
		n++
	}
	if n < 60 {
		return none()
	}
	return found(n, Medium)
}
