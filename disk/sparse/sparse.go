// Package sparse is the form in which disks lie in the content store: the data
// of a disk, its holes left out.
//
// # Format
//
//	data     the blocks that hold data, ascending, one behind the other
//	index    for each run of blocks: the length of the hole before it and its
//	         own length, in bytes, as unsigned varints
//	trailer  48 bytes, little endian
//
// The trailer is
//
//	0   8  magic "imgsprs1"
//	8   8  size of the disk, in bytes
//	16  8  length of the data, in bytes
//	24  8  length of the index, in bytes
//	32  8  number of runs
//	40  4  CRC-32C of the index
//	44  4  CRC-32C of bytes 0 to 43
//
// Runs begin at multiples of 4096 bytes and end there or at the end of the
// disk. Neighbouring runs are one, and no block is all zeros, so that a disk
// has exactly one encoding: equal disks have equal digests.
package sparse

import (
	"encoding/binary"
	"hash/crc32"
)

// MediaType is the media type of a disk in this form.
const MediaType = "application/vnd.imgbuild.disk.v1+sparse"

const (
	magic       = "imgsprs1"
	trailerSize = 48
)

// trailer is what the end of the stream tells.
type trailer struct {
	size, data, index, runs int64
	sum                     uint32
}

func checksum(p []byte) uint32 { return crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) }

func (t trailer) encode() []byte {
	p := make([]byte, 0, trailerSize)
	p = append(p, magic...)
	for _, v := range []int64{t.size, t.data, t.index, t.runs} {
		p = binary.LittleEndian.AppendUint64(p, uint64(v))
	}
	p = binary.LittleEndian.AppendUint32(p, t.sum)
	return binary.LittleEndian.AppendUint32(p, checksum(p))
}
