package carve

import "encoding/binary"

// Identifiers that keys hold, with their tags.
const (
	// pbes2 is how most private keys are encrypted (RFC 8018, appendix A.4).
	pbes2 = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d"
	// pgpEd25519 is the algorithm and the curve of an OpenPGP key
	// (draft-koch-eddsa-for-openpgp, section 6).
	pgpEd25519 = "\x16\x09\x2b\x06\x01\x04\x01\xda\x47\x0f\x01"
)

// inner steps over the header of a sequence at byte off, and returns where its
// content begins, or 0.
func inner(v *View, off int64) int64 {
	b := v.Bytes(off, 4)
	if b == nil || b[0] != 0x30 {
		return 0
	}
	switch n := derLength(b); {
	case n == 0:
		return 0
	case b[1] < 0x80:
		return off + 2
	case b[1] == 0x81:
		return off + 3
	}
	return off + 4
}

// sequences reports whether the identifier of PBES2 stands at the beginning of
// so many sequences, each of which is the first element of the one around it.
func sequences(v *View, deep int) bool {
	off := int64(0)
	for range deep {
		if off = inner(v, off); off == 0 {
			return false
		}
	}
	b := v.Bytes(off, len(pbes2))
	return b != nil && string(b) == pbes2
}

// measureEncryptedKey accepts an EncryptedPrivateKeyInfo (RFC 5958, section 3):
// the encrypted key is all that follows the algorithm.
func measureEncryptedKey(v *View) (Found, bool) {
	f, ok := measureDER(v)
	if !ok || !sequences(v, 2) {
		return none()
	}
	start := inner(v, 0)
	off := start + derLength(v.Bytes(start, 4))
	b := v.Bytes(off, 4)
	if b == nil || b[0] != 0x04 || off+derLength(b) != f.Size {
		return none()
	}
	f.Detail = "encrypted"
	return f, true
}

// measureBCFKS accepts a keystore of Bouncy Castle's FIPS form: its content,
// encrypted, and a check of its integrity (org.bouncycastle.asn1.bc
// ObjectStore).
func measureBCFKS(v *View) (Found, bool) {
	f, ok := measureDER(v)
	if !ok || !sequences(v, 3) {
		return none()
	}
	return f, true
}

// measureKDBX checks the version of a KeePass database (KDBX 3 and 4), which
// does not tell its size.
func measureKDBX(v *View) (Found, bool) {
	h := v.Bytes(0, 12)
	if h == nil || binary.LittleEndian.Uint16(h[8:]) > 9 {
		return none()
	}
	if major := binary.LittleEndian.Uint16(h[10:]); major < 2 || major > 4 {
		return none()
	}
	return found(min(v.Len(), 4096), Medium)
}

// measurePGPKey accepts a secret key packet of version 4 (RFC 9580, section
// 5.5.3), whose algorithm the anchor is.
func measurePGPKey(v *View) (Found, bool) {
	const secretKey = 5
	h := v.Bytes(0, 8)
	if h == nil {
		return none()
	}
	var head, n int64
	switch {
	case h[0] == 0x80|secretKey<<2:
		head, n = 2, int64(h[1])
	case h[0] == 0x80|secretKey<<2|1:
		head, n = 3, int64(binary.BigEndian.Uint16(h[1:]))
	case h[0] == 0xc0|secretKey && h[1] < 192:
		head, n = 2, int64(h[1])
	default:
		return none()
	}
	at := v.Bytes(head+5, len(pgpEd25519))
	if h[head] != 4 || at == nil || string(at) != pgpEd25519 || n < 60 {
		return none()
	}
	return fits(v, head+n)
}
