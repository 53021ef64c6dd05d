package packed

import (
	"encoding/binary"
	"hash/crc32"
	"hash/crc64"
)

// What ".xz File Format" 1.1.0 (sections 3.1 and 5.3.1) and LZMA2 lay down for
// a block that is not compressed.
const (
	xzLZMA2     = 0x21
	xzDict64K   = 8 // the dictionary, coded: 2<<(8/2+11) bytes
	chunkReset  = 1 // an uncompressed chunk that resets the dictionary
	chunkStored = 2 // one that does not
	maxChunk    = 64 << 10
)

// appendStored appends the record and the block of data that do not compress.
func appendStored(dst, data []byte) []byte {
	header := []byte{2, 0, xzLZMA2, 1, xzDict64K, 0, 0, 0} // 12 bytes with the checksum
	chunks := (len(data) + maxChunk - 1) / maxChunk
	const check = 8
	size := len(header) + 4 + len(data) + 3*chunks + 1
	dst = binary.AppendUvarint(dst, uint64(size+check))
	dst = binary.AppendUvarint(dst, uint64(len(data)))
	dst = append(dst, header...)
	dst = binary.LittleEndian.AppendUint32(dst, crc32.ChecksumIEEE(header))
	control := byte(chunkReset)
	for rest := data; len(rest) > 0; control = chunkStored {
		n := min(len(rest), maxChunk)
		dst = append(dst, control)
		dst = binary.BigEndian.AppendUint16(dst, uint16(n-1))
		dst, rest = append(dst, rest[:n]...), rest[n:]
	}
	dst = append(dst, 0)
	dst = append(dst, make([]byte, -size&3)...)
	return binary.LittleEndian.AppendUint64(dst, crc64.Checksum(data, crc64.MakeTable(crc64.ECMA)))
}
