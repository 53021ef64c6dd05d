// Package vhd reads and writes Microsoft's Virtual Hard Disk, as described in
// "Virtual Hard Disk Image Format Specification" 1.0 (Microsoft, 2006). VHDX,
// its successor, has a package of its own.
//
// The reader knows fixed and dynamic disks. Of a dynamic disk it takes the
// copy of the footer at the beginning when the one at the end is damaged. A
// differencing disk is refused: it holds only what changed.
//
// The writer makes fixed disks, the form that Azure takes, and dynamic ones.
// Sizes are exact: they are rounded up to whole sectors and never to the
// cylinders of a geometry. The file is a function of the content; what is zero
// stays a hole in it.
package vhd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
)

// Magic is what a footer begins with: the last sector of a fixed disk, the
// first and the last one of all others.
const Magic = "conectix"

// FooterSize is what a fixed disk is larger than its content, in bytes.
const FooterSize = 512

// MaxSize is the largest disk, in bytes: 2040 GiB, the limit of Hyper-V, above
// which the sectors of a dynamic disk could not all be addressed.
const MaxSize = 2040 << 30

// Type is the kind of a disk; the values are those of the footer.
type Type uint32

// The types of disks ("Hard Disk Footer Format", Disk Type).
const (
	Fixed        Type = 2
	Dynamic      Type = 3
	differencing Type = 4
)

const (
	headerMagic  = "cxsparse"
	headerSize   = 1024
	headerOffset = FooterSize
	tableOffset  = headerOffset + headerSize
	// blockSize is what a writer allocates at a time, in bytes: the default
	// of the specification.
	blockSize = 2 << 20
	// unit is what is looked at for zeros and hashed at a time, in bytes.
	unit     = 64 << 10
	version1 = 0x00010000
	// noOffset stands for nothing, in 64 and in 32 bits.
	noOffset   = 1<<64 - 1
	freeBlock  = 1<<32 - 1
	reservedOn = 2 // a bit of the features that is always set
	// creator and creatorOS are those of Windows: they are what other readers
	// look at to tell files with exact sizes from those whose size is that of
	// the geometry.
	creator        = "win "
	creatorOS      = "Wi2k"
	creatorVersion = 0x000a0000
)

// footer is what a reader needs of a footer, and a writer decides.
type footer struct {
	header uint64 // offset of the dynamic disk header
	// when is the time of creation, in seconds since 2000.
	when uint32
	size uint64 // bytes
	kind Type
	id   [16]byte
}

// encode returns the footer's sector ("Hard Disk Footer Format").
func (f footer) encode() []byte {
	p := make([]byte, FooterSize)
	copy(p, Magic)
	put32, put64 := binary.BigEndian.PutUint32, binary.BigEndian.PutUint64
	put32(p[8:], reservedOn)
	put32(p[12:], version1)
	put64(p[16:], f.header)
	put32(p[24:], f.when)
	copy(p[28:], creator)
	put32(p[32:], creatorVersion)
	copy(p[36:], creatorOS)
	put64(p[40:], f.size) // when it was made
	put64(p[48:], f.size) // now
	cylinders, heads, sectors := geometry(f.size / disk.SectorSize)
	binary.BigEndian.PutUint16(p[56:], cylinders)
	p[58], p[59] = heads, sectors
	put32(p[60:], uint32(f.kind))
	copy(p[68:], f.id[:])
	put32(p[64:], checksum(p, 64))
	return p
}

func decodeFooter(p []byte) (footer, error) {
	if !bytes.HasPrefix(p, []byte(Magic)) {
		return footer{}, errors.New("it has no VHD footer")
	}
	if got, want := binary.BigEndian.Uint32(p[64:]), checksum(p, 64); got != want {
		return footer{}, fmt.Errorf("the checksum of its footer is %#x, not %#x", got, want)
	}
	f := footer{
		header: binary.BigEndian.Uint64(p[16:]), when: binary.BigEndian.Uint32(p[24:]),
		size: binary.BigEndian.Uint64(p[48:]), kind: Type(binary.BigEndian.Uint32(p[60:])), id: [16]byte(p[68:]),
	}
	switch {
	case binary.BigEndian.Uint32(p[12:])>>16 != version1>>16:
		return footer{}, fmt.Errorf("it has version %#x", binary.BigEndian.Uint32(p[12:]))
	case f.size > 1<<50:
		return footer{}, fmt.Errorf("its size is %d bytes", f.size)
	case f.kind == differencing:
		return footer{}, fault.New(fault.Input, errors.New("it is a differencing disk, which holds only what changed in another"),
			"merge it into its parent first: `Merge-VHD` on Hyper-V, `vhd-util coalesce` on Xen")
	case f.kind != Fixed && f.kind != Dynamic:
		return footer{}, fmt.Errorf("its type is %d; fixed and dynamic disks are known", f.kind)
	}
	return f, nil
}

// checksum is the ones' complement of the sum of all bytes but those of the
// checksum itself, four at off.
func checksum(p []byte, off int) uint32 {
	var sum uint32
	for i, b := range p {
		if i < off || i >= off+4 {
			sum += uint32(b)
		}
	}
	return ^sum
}

// geometry returns cylinders, heads and sectors of a track for a number of
// sectors, rounded down ("Appendix: CHS Calculation").
func geometry(total uint64) (cylinders uint16, heads, sectors uint8) {
	const most = 65535 * 16 * 255
	total = min(total, most)
	if total >= 65535*16*63 {
		return uint16(total / (16 * 255)), 16, 255
	}
	perTrack, h := uint64(17), uint64(0)
	tracks := total / perTrack
	h = max((tracks+1023)/1024, 4)
	if tracks >= h*1024 || h > 16 {
		perTrack, h = 31, 16
		tracks = total / perTrack
	}
	if tracks >= h*1024 {
		perTrack, h = 63, 16
		tracks = total / perTrack
	}
	return uint16(tracks / h), uint8(h), uint8(perTrack)
}
