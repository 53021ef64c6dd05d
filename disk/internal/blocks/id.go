package blocks

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"hash/crc32"
)

// ID identifies a disk by its content, for formats that want an identity and
// must not take a random one.
type ID struct {
	h   hash.Hash
	crc *crc32.Table
}

// NewID returns the identity of a disk without content.
func NewID() *ID { return &ID{sha256.New(), crc32.MakeTable(crc32.Castagnoli)} }

// Add adds a block. The caller adds the blocks that an [Assembler] emits, so
// that the identity does not depend on how writes were split.
func (i *ID) Add(off int64, block []byte) {
	var record [12]byte
	binary.LittleEndian.PutUint64(record[:], uint64(off))
	binary.LittleEndian.PutUint32(record[8:], crc32.Checksum(block, i.crc))
	i.h.Write(record[:])
}

// Sum returns the identity, or that of seed when it is given.
func (i *ID) Sum(seed []byte) [16]byte {
	if seed == nil {
		return [16]byte(i.h.Sum(nil))
	}
	sum := sha256.Sum256(seed)
	return [16]byte(sum[:])
}
