package part

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// GUID is a globally unique identifier in the byte order of its text form
// (RFC 9562), so that it also serves as a filesystem's UUID. On disk, GPT
// stores the first three fields little endian.
type GUID [16]byte

// ParseGUID reads the form 01234567-89ab-cdef-0123-456789abcdef, in either
// case.
func ParseGUID(s string) (GUID, error) {
	var g GUID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return GUID{}, fmt.Errorf("parsing GUID %q: it does not have the form 8-4-4-4-12", s)
	}
	digits := s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	if _, err := hex.Decode(g[:], []byte(digits)); err != nil {
		return GUID{}, fmt.Errorf("parsing GUID %q: %w", s, err)
	}
	return g, nil
}

// GUIDFrom derives a GUID from a seed, usually a digest, and a label that
// tells apart what is named from the same seed. The same arguments give the
// same GUID: version 8, "custom", of RFC 9562 §5.8.
func GUIDFrom(seed []byte, label string) GUID {
	mac := hmac.New(sha256.New, seed)
	mac.Write([]byte(label))
	g := GUID(mac.Sum(nil)[:16])
	g[6] = g[6]&0x0f | 0x80
	g[8] = g[8]&0x3f | 0x80
	return g
}

// String returns the text form, in lower case.
func (g GUID) String() string {
	h := hex.EncodeToString(g[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// IsZero reports whether g is the nil GUID, which marks an unused entry.
func (g GUID) IsZero() bool { return g == GUID{} }

// MarshalText implements [encoding.TextMarshaler].
func (g GUID) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (g *GUID) UnmarshalText(p []byte) (err error) {
	*g, err = ParseGUID(string(p))
	return err
}

// Mixed converts between text order and the mixed order on disk (UEFI
// Appendix A).
func (g GUID) Mixed() GUID {
	binary.LittleEndian.PutUint32(g[0:], binary.BigEndian.Uint32(g[0:]))
	binary.LittleEndian.PutUint16(g[4:], binary.BigEndian.Uint16(g[4:]))
	binary.LittleEndian.PutUint16(g[6:], binary.BigEndian.Uint16(g[6:]))
	return g
}
