package xva

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// new returns the hash of a kind.
func (c Checksum) new() (hash.Hash, error) {
	switch c {
	case SHA1:
		return sha1.New(), nil
	case XXH64:
		return xxhash.New(), nil
	}
	return nil, fmt.Errorf("the checksum %q is not known", c)
}

// text is a sum as its member holds it: XXH64 is written in capitals, the most
// significant byte first.
func (c Checksum) text(h hash.Hash) string {
	s := hex.EncodeToString(h.Sum(nil))
	if c == XXH64 {
		return strings.ToUpper(s)
	}
	return s
}
