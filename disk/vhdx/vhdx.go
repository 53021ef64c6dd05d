// Package vhdx reads and writes Microsoft's VHDX, as described in [MS-VHDX],
// "Virtual Hard Disk v2 (VHDX) File Format".
//
// The reader knows fixed and dynamic disks. The log of a disk that was not
// closed is replayed in memory: the file stays as it is. A differencing disk
// is refused: it holds only what changed.
//
// The writer makes dynamic disks with sectors of 512 bytes. Blocks have 1 MiB,
// which suits Linux filesystems best, and more on disks above 1 TiB. The file
// is a function of the content; what is zero stays a hole in it.
package vhdx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/imgbuild/imgbuild/disk/part"
)

// Magic is what a file begins with (section 2.2.1).
const Magic = "vhdxfile"

// MaxSize is the largest disk, in bytes: 64 TiB (section 2.6.2.2).
const MaxSize = 64 << 40

// Where things are in a file (section 2.2), in bytes.
const (
	headerOffset  = 64 << 10 // the second one follows at twice that
	headerSize    = 4 << 10
	regionsOffset = 192 << 10 // the second table follows behind it
	regionsSize   = 64 << 10
	mib           = 1 << 20
)

const (
	headerMagic   = "head"
	regionsMagic  = "regi"
	metadataMagic = "metadata"
	metadataTable = 64 << 10
	maxRegions    = 2047
	maxItems      = 2047
	sectorSize    = 512
	version       = 1
	// hasParent is the flag of a differencing disk (section 2.6.2.1).
	hasParent = 1 << 1
	// required is the flag of regions and of metadata without which a file
	// cannot be understood.
	requiredRegion = 1 << 0
	requiredItem   = 1 << 2
	ofDisk         = 1 << 1
)

// States of a payload block (section 2.5.1.1).
const (
	stateMask          = 7
	blockNotPresent    = 0
	blockUndefined     = 1
	blockZero          = 2
	blockUnmapped      = 3
	blockFullyPresent  = 6
	blockPartlyPresent = 7
	// offsetShift is where the offset begins in an entry, in MiB.
	offsetShift = 20
)

// The regions and the items of metadata (sections 2.2.3 and 2.6.2), by their
// GUIDs in the order of a file.
var (
	regionTable    = guid("2dc27766-f623-4200-9d64-115e9bfd4a08")
	regionMetadata = guid("8b7ca206-4790-4b9a-b8fe-575f050f886e")

	itemParameters     = guid("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
	itemSize           = guid("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
	itemID             = guid("beca12ab-b2e6-4523-93ef-c309e000c746")
	itemLogicalSector  = guid("8141bf1d-a96f-4709-ba47-f233a8faab5f")
	itemPhysicalSector = guid("cda348c7-445d-4471-9cc9-e9885251c556")
)

// guid returns a GUID as files store it. It is called with constants only.
func guid(text string) part.GUID {
	g, err := part.ParseGUID(text)
	if err != nil {
		panic(err) // a typing error in this file
	}
	return g.Mixed()
}

// checksum is the CRC-32C of p, in which the four bytes at off count as zero.
func checksum(p []byte, off int) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, p[:off])
	sum = crc32.Update(sum, table, make([]byte, 4))
	return crc32.Update(sum, table, p[off+4:])
}

// seal writes the checksum of a structure to its place, four bytes at 4.
func seal(p []byte) []byte {
	binary.LittleEndian.PutUint32(p[4:], checksum(p, 4))
	return p
}

// sealed reports whether a structure begins with its magic and has the right
// checksum.
func sealed(p []byte, magic string) bool {
	return string(p[:4]) == magic && binary.LittleEndian.Uint32(p[4:]) == checksum(p, 4)
}

// header is one of the two that a file has (section 2.2.2).
type header struct {
	sequence             uint64
	fileWrite, dataWrite part.GUID
	log                  part.GUID // zero when the log is empty
	logOffset            int64
	logSize              int64
}

func (h header) encode() []byte {
	p := make([]byte, headerSize)
	copy(p, headerMagic)
	binary.LittleEndian.PutUint64(p[8:], h.sequence)
	copy(p[16:], h.fileWrite[:])
	copy(p[32:], h.dataWrite[:])
	copy(p[48:], h.log[:])
	binary.LittleEndian.PutUint16(p[66:], version)
	binary.LittleEndian.PutUint32(p[68:], uint32(h.logSize))
	binary.LittleEndian.PutUint64(p[72:], uint64(h.logOffset))
	return seal(p)
}

// decodeHeader returns false for a header that is not valid: then the other
// one counts.
func decodeHeader(p []byte) (header, bool) {
	if !sealed(p, headerMagic) {
		return header{}, false
	}
	return header{
		sequence: binary.LittleEndian.Uint64(p[8:]), log: part.GUID(p[48:64]),
		logSize: int64(binary.LittleEndian.Uint32(p[68:])), logOffset: int64(binary.LittleEndian.Uint64(p[72:])),
	}, binary.LittleEndian.Uint16(p[66:]) == version && binary.LittleEndian.Uint16(p[64:]) == 0
}

// region is a part of the file.
type region struct{ off, size int64 }

// encodeRegions returns a region table (section 2.2.3).
func encodeRegions(table, metadata region) []byte {
	p := make([]byte, regionsSize)
	copy(p, regionsMagic)
	binary.LittleEndian.PutUint32(p[8:], 2)
	for i, r := range []struct {
		id part.GUID
		region
	}{{regionTable, table}, {regionMetadata, metadata}} {
		e := p[16+32*i:]
		copy(e, r.id[:])
		binary.LittleEndian.PutUint64(e[16:], uint64(r.off))
		binary.LittleEndian.PutUint32(e[24:], uint32(r.size))
		binary.LittleEndian.PutUint32(e[28:], requiredRegion)
	}
	return seal(p)
}

// decodeRegions finds the two regions in a table; n is the length of the file.
func decodeRegions(p []byte, n int64) (table, metadata region, err error) {
	if !sealed(p, regionsMagic) {
		return table, metadata, errors.New("its region table is damaged")
	}
	count := binary.LittleEndian.Uint32(p[8:])
	if count > maxRegions {
		return table, metadata, fmt.Errorf("its region table has %d entries", count)
	}
	for i := range int(count) {
		e := p[16+32*i:][:32]
		r := region{int64(binary.LittleEndian.Uint64(e[16:])), int64(binary.LittleEndian.Uint32(e[24:]))}
		id := part.GUID(e[:16])
		known := id == regionTable || id == regionMetadata
		switch {
		case !known && binary.LittleEndian.Uint32(e[28:])&requiredRegion != 0:
			return table, metadata, fmt.Errorf("it needs a region %v, which is not known", id.Mixed())
		case !known:
			continue
		case r.off < mib || r.off%mib != 0 || r.off > n || r.size > n-r.off:
			return table, metadata, fmt.Errorf("a region of %d bytes at %d lies beyond the file of %d bytes", r.size, r.off, n)
		}
		if id == regionTable {
			table = r
		} else {
			metadata = r
		}
	}
	if table.size == 0 || metadata.size < metadataTable {
		return table, metadata, errors.New("its region table lacks a region")
	}
	return table, metadata, nil
}
