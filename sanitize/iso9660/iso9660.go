// Package iso9660 accounts for ISO 9660 images, with Joliet and Rock Ridge.
//
// The layout is that of ECMA-119, cited below as ECMA, and of the System Use
// Sharing Protocol (IEEE P1281) for continuation areas. All places are told in
// sectors of 2048 bytes.
//
// An image is written once. Dead are the rests of files' and directories' last
// sectors, the rest of each sector of a directory behind its last record, the
// rests of sectors with path tables and continuation areas, and what lies
// behind the volume. The first 16 sectors are boot code: hybrid images begin
// with one. Sectors inside the volume that nothing leads to are unknown:
// loaders and tools keep things of their own there.
package iso9660

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

const (
	sector     = 2048
	systemArea = 16 // sectors ahead of the first descriptor, ECMA §6.2.1
	magic      = "CD001"

	kindBoot          = 0
	kindPrimary       = 1
	kindSupplementary = 2 // Joliet
	kindEnd           = 255
	descriptorsMost   = 64

	// ECMA §8.4, both byte orders where it says so: little-endian first.
	offLabel      = 40
	labelLen      = 32
	offSectors    = 80
	offBlockSize  = 128
	offTableSize  = 132
	offTableLE    = 140
	offTableLEOpt = 144
	offTableBE    = 148
	offTableBEOpt = 152
	offRoot       = 156
	rootLen       = 34
	offCatalog    = 71 // of the boot catalogue, in a boot record: El Torito §2.0
)

// Driver recognises ISO 9660.
type Driver struct{}

// Name returns "iso9660".
func (Driver) Name() string { return "iso9660" }

// Open reads the volume descriptors.
func (Driver) Open(_ context.Context, r disk.Reader) (sanitize.Filesystem, error) {
	f := &filesystem{r: r}
	for i := range int64(descriptorsMost) {
		off := (systemArea + i) * sector
		if off+sector > r.Size() {
			break
		}
		b := make([]byte, sector)
		if err := sanitize.ReadFull(r, b, off); err != nil {
			return nil, err
		}
		if string(b[1:6]) != magic {
			break
		}
		f.descriptors = append(f.descriptors, b)
		if b[0] == kindEnd {
			return f, f.parse()
		}
	}
	if len(f.descriptors) == 0 {
		return nil, sanitize.ErrNotRecognized
	}
	return nil, fmt.Errorf("%d volume descriptors have no end", len(f.descriptors))
}

type filesystem struct {
	r           disk.Reader
	descriptors [][]byte
	end         int64 // of the volume, in bytes
	label       string
}

func (f *filesystem) parse() error {
	for _, b := range f.descriptors {
		if b[0] != kindPrimary {
			continue
		}
		le := binary.LittleEndian
		if size := le.Uint16(b[offBlockSize:]); size != sector {
			return fmt.Errorf("blocks of %d bytes: %w", size, sanitize.ErrNotRecognized)
		}
		f.end = int64(le.Uint32(b[offSectors:])) * sector
		f.label = strings.TrimRight(string(bytes.TrimRight(b[offLabel:offLabel+labelLen], "\x00")), " ")
	}
	if f.end < (systemArea+int64(len(f.descriptors)))*sector || f.end > f.r.Size() {
		return fmt.Errorf("a volume of %d bytes does not fit into %d", f.end, f.r.Size())
	}
	return nil
}

// Type returns "iso9660".
func (f *filesystem) Type() string { return "iso9660" }

// Label returns the volume identifier.
func (f *filesystem) Label() string { return f.label }
