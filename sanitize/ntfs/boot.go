package ntfs

import (
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Offsets in the boot sector, LAYOUT NTFS_BOOT_SECTOR and
// BIOS_PARAMETER_BLOCK.
const (
	offOEM            = 3
	offSectorBytes    = 0x0b
	offClusterSectors = 0x0d
	offTotalSectors   = 0x28
	offMFT            = 0x30
	offMirror         = 0x38
	offRecordSize     = 0x40
	bootSize          = 512 // bytes that are read

	oemID = "NTFS    "
)

// Bounds of the geometry, in bytes. Windows makes clusters of 2 MiB at most.
const (
	maxCluster = 2 << 20
	maxSector  = 4096
	maxRecord  = 64 << 10
)

// geometry is what the boot sector says, in bytes unless said otherwise.
type geometry struct {
	sector     int64
	cluster    int64
	recordSize int64 // of an MFT record
	clusters   int64 // number of clusters
	end        int64 // of the volume, without the backup of the boot sector
	mftAt      int64 // the first cluster of the MFT
}

func readBoot(r disk.Reader) (geometry, error) {
	var g geometry
	if r.Size() < bootSize {
		return g, sanitize.ErrNotRecognized
	}
	b := make([]byte, bootSize)
	if err := sanitize.ReadFull(r, b, 0); err != nil {
		return g, err
	}
	if !isBoot(b) {
		return g, sanitize.ErrNotRecognized
	}
	le := binary.LittleEndian
	g.sector = int64(le.Uint16(b[offSectorBytes:]))
	perCluster := int64(b[offClusterSectors])
	if perCluster > 0x80 {
		perCluster = 1 << min(256-perCluster, 62)
	}
	if !powerOfTwo(g.sector, bootSize, maxSector) || !powerOfTwo(perCluster, 1, maxCluster/g.sector) {
		return g, fmt.Errorf("the boot sector has %d bytes in a sector and %d sectors in a cluster", g.sector, perCluster)
	}
	g.cluster = perCluster * g.sector
	g.recordSize = sized(int8(b[offRecordSize]), g.cluster)
	if !powerOfTwo(g.recordSize, stride, maxRecord) {
		return g, fmt.Errorf("the boot sector has %d bytes in an MFT record", g.recordSize)
	}
	total := le.Uint64(b[offTotalSectors:])
	if total == 0 || total > uint64(r.Size()/g.sector) {
		return g, fmt.Errorf("a volume of %d sectors of %d bytes does not fit into %d bytes", total, g.sector, r.Size())
	}
	g.end = int64(total) * g.sector
	g.clusters = g.end / g.cluster
	mft := le.Uint64(b[offMFT:])
	if mft >= uint64(g.clusters) {
		return g, fmt.Errorf("the MFT begins at cluster %d of %d", mft, g.clusters)
	}
	g.mftAt = int64(mft)
	return g, nil
}

func isBoot(b []byte) bool { return string(b[offOEM:offOEM+len(oemID)]) == oemID }

// sized decodes a size that is given in clusters, or, below zero, as the
// negative logarithm of the bytes.
func sized(n int8, cluster int64) int64 {
	if n >= 0 {
		return int64(n) * cluster
	}
	return 1 << min(-int(n), 62)
}

func powerOfTwo(n, least, most int64) bool { return n >= least && n <= most && n&(n-1) == 0 }

// backup returns where the copy of the boot sector lies, which is behind the
// last sector of the volume. ok is false when none is there.
func (g geometry) backup(r disk.Reader) (e disk.Extent, ok bool, err error) {
	e = disk.Extent{Off: g.end, Len: g.sector}
	if e.End() > r.Size() {
		return e, false, nil
	}
	b := make([]byte, bootSize)
	if err := sanitize.ReadFull(r, b, e.Off); err != nil {
		return e, false, err
	}
	return e, isBoot(b), nil
}
