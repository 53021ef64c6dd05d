package btrfs

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/crypto/blake2b"
)

// sumField is the room that a block has for its own checksum, in bytes.
const sumField = 32

// sums is a kind of checksum, BTRFS section "Checksumming".
type sums struct {
	size int64 // bytes of one
	of   func([]byte) []byte
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sumsOf returns the kind with the given number.
func sumsOf(kind uint16) (sums, error) {
	le := binary.LittleEndian
	switch kind {
	case 0:
		return sums{4, func(b []byte) []byte { return le.AppendUint32(nil, crc32.Checksum(b, castagnoli)) }}, nil
	case 1:
		return sums{8, func(b []byte) []byte { return le.AppendUint64(nil, xxhash.Sum64(b)) }}, nil
	case 2:
		return sums{32, func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }}, nil
	case 3:
		return sums{32, func(b []byte) []byte { s := blake2b.Sum256(b); return s[:] }}, nil
	}
	return sums{}, fmt.Errorf("checksums of kind %d", kind)
}
