// Package vmdk reads and writes VMware's hosted sparse extents, as described
// in "Virtual Disk Format 5.0" (VMware, 2011).
//
// The reader knows sparse extents, compressed or not, flat ones and empty
// ones, disks that consist of several, and chains of deltas down to the whole
// disk. What ESXi alone knows how to read, such as seSparse, is refused.
//
// The writer makes the five types of [Type]. streamOptimized is the form that
// OVF packages carry: version 3, the grain directory at the end, a footer, and
// nothing behind the end-of-stream marker, since importers hash what they
// parse. Its grains are compressed on all cores. Files are a function of the
// content.
package vmdk

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
)

// Magic is what a sparse extent begins with.
const Magic = "KDMV"

// DescriptorMagic is the first line of a descriptor, which is a file of its own
// for some types of disks.
const DescriptorMagic = "# Disk DescriptorFile"

// Flags of the header ("Hosted Sparse Extent Header").
const (
	flagNewLines   = 1 << 0
	flagRedundant  = 1 << 1 // there is a second grain directory
	flagZeroGrains = 1 << 2
	flagCompressed = 1 << 16
	flagMarkers    = 1 << 17
)

// Types of the markers between metadata ("Stream-Optimized Compressed Sparse
// Extents").
const (
	markerEnd       = 0
	markerTable     = 1
	markerDirectory = 2
	markerFooter    = 3
)

const (
	headerSize     = disk.SectorSize
	grainMarker    = 12 // LBA and length before the data of a grain
	algorithmZlib  = 1
	gdAtEnd        = 1<<64 - 1
	tableEntries   = 512
	grainSectors   = 128
	grainSize      = grainSectors * disk.SectorSize
	maxGrain       = 2048     // sectors, 1 MiB
	maxCapacity    = 1 << 46  // sectors
	maxDescriptor  = 1 << 20  // bytes
	maxDirectory   = 64 << 20 // bytes
	descriptorHome = 1        // sector
	descriptorLen  = 20       // sectors
	overhead       = 128      // sectors before the first grain
)

// header is a sparse extent header; offsets and sizes are in sectors.
type header struct {
	version, flags        uint32
	capacity, grain       uint64
	descriptor, descrSize uint64
	perTable              uint32
	redundant, directory  uint64
	overhead              uint64
	algorithm             uint16
}

// encode returns the header's sector.
func (h header) encode() []byte {
	p := make([]byte, headerSize)
	copy(p, Magic)
	binary.LittleEndian.PutUint32(p[4:], h.version)
	binary.LittleEndian.PutUint32(p[8:], h.flags)
	binary.LittleEndian.PutUint64(p[12:], h.capacity)
	binary.LittleEndian.PutUint64(p[20:], h.grain)
	binary.LittleEndian.PutUint64(p[28:], h.descriptor)
	binary.LittleEndian.PutUint64(p[36:], h.descrSize)
	binary.LittleEndian.PutUint32(p[44:], h.perTable)
	binary.LittleEndian.PutUint64(p[48:], h.redundant)
	binary.LittleEndian.PutUint64(p[56:], h.directory)
	binary.LittleEndian.PutUint64(p[64:], h.overhead)
	copy(p[73:], "\n \r\n") // shows whether a transfer changed line ends
	binary.LittleEndian.PutUint16(p[77:], h.algorithm)
	return p
}

func decodeHeader(p []byte) (header, error) {
	if string(p[:4]) != Magic {
		return header{}, errors.New("it has no VMDK magic")
	}
	h := header{
		version: binary.LittleEndian.Uint32(p[4:]), flags: binary.LittleEndian.Uint32(p[8:]),
		capacity: binary.LittleEndian.Uint64(p[12:]), grain: binary.LittleEndian.Uint64(p[20:]),
		descriptor: binary.LittleEndian.Uint64(p[28:]), descrSize: binary.LittleEndian.Uint64(p[36:]),
		perTable:  binary.LittleEndian.Uint32(p[44:]),
		redundant: binary.LittleEndian.Uint64(p[48:]), directory: binary.LittleEndian.Uint64(p[56:]),
		overhead: binary.LittleEndian.Uint64(p[64:]), algorithm: binary.LittleEndian.Uint16(p[77:]),
	}
	if h.flags&flagNewLines != 0 && string(p[73:77]) != "\n \r\n" {
		return header{}, errors.New("its line ends were changed: it was transferred as text")
	}
	return h, h.check()
}

// check bounds what the header tells, as far as that needs no file.
func (h header) check() error {
	switch {
	case h.version < 1 || h.version > 3:
		return fmt.Errorf("it has version %d; 1 to 3 are known", h.version)
	case h.capacity > maxCapacity:
		return fmt.Errorf("its capacity is %d sectors", h.capacity)
	case h.grain < 8 || h.grain > maxGrain || h.grain&(h.grain-1) != 0:
		return fmt.Errorf("its grains have %d sectors", h.grain)
	case h.perTable < 1 || h.perTable > tableEntries:
		return fmt.Errorf("its grain tables have %d entries", h.perTable)
	case h.tables()*4 > maxDirectory:
		return fmt.Errorf("its grain directory has %d entries", h.tables())
	case h.flags&flagCompressed != 0 && (h.algorithm != algorithmZlib || h.flags&flagMarkers == 0):
		return fmt.Errorf("its grains are compressed in a way that is not known (algorithm %d, flags %#x)", h.algorithm, h.flags)
	}
	return nil
}

// tables is the number of grain tables.
func (h header) tables() int64 {
	span := h.grain * uint64(h.perTable)
	return int64((h.capacity + span - 1) / span)
}

// grainBytes is the size of a grain.
func (h header) grainBytes() int64 { return int64(h.grain) * disk.SectorSize }

// span is the number of bytes that a grain table stands for.
func (h header) span() int64 { return h.grainBytes() * int64(h.perTable) }
