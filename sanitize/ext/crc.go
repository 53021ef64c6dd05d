package ext

import "hash/crc32"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// crc continues a crc32c the way the kernel does: without the inversions that
// the standard library adds at both ends.
func crc(seed uint32, p []byte) uint32 { return ^crc32.Update(^seed, castagnoli, p) }

// crcUint32 continues a checksum over a little-endian number, byte by byte: so
// short a row is not worth a call.
func crcUint32(seed, n uint32) uint32 {
	for range 4 {
		seed = castagnoli[byte(seed)^byte(n)] ^ seed>>8
		n >>= 8
	}
	return seed
}
