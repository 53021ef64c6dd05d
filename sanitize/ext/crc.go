package ext

import (
	"encoding/binary"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// crc continues a crc32c the way the kernel does: without the inversions that
// the standard library adds at both ends.
func crc(seed uint32, p []byte) uint32 { return ^crc32.Update(^seed, castagnoli, p) }

// crcUint32 continues a checksum over a little-endian number.
func crcUint32(seed, n uint32) uint32 {
	return crc(seed, binary.LittleEndian.AppendUint32(nil, n))
}
