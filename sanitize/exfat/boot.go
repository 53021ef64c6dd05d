package exfat

import (
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Offsets in the boot sector, SPEC section 3.1.
const (
	offName         = 3
	offVolumeLen    = 72
	offTable        = 80
	offTableLen     = 84
	offHeap         = 88
	offClusterCount = 92
	offRoot         = 96
	offRevision     = 104
	offFlags        = 106
	offSectorShift  = 108
	offClusterShift = 109
	offTables       = 110
	offPercent      = 112
	bootSize        = 512 // bytes that are read
	fileSystemName  = "EXFAT   "
	flagDirty       = 2
	flagFailure     = 4
)

// Sectors of a boot region, SPEC section 3.
const (
	sectorReserved = 10
	sectorChecksum = 11
	regionSectors  = 12
	bootRegions    = 2 // the second is the backup
)

// Numbers of clusters, SPEC section 4.1.
const (
	firstCluster = 2
	maxClusters  = 0xfffffff5
	markBad      = 0xfffffff7
	markEnd      = 0xffffffff
	maxShift     = 25 // of a cluster: 32 MiB
)

// geometry is what the boot sector says, in bytes unless said otherwise.
type geometry struct {
	sector   int64
	cluster  int64
	table    int64 // where it begins
	tableLen int64
	heap     int64 // where the first cluster begins
	clusters int64 // number of clusters
	end      int64 // of the volume
	root     uint32
	flags    uint16
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
	if string(b[offName:offName+len(fileSystemName)]) != fileSystemName {
		return g, sanitize.ErrNotRecognized
	}
	le := binary.LittleEndian
	sectorShift, clusterShift := b[offSectorShift], b[offClusterShift]
	if sectorShift < 9 || sectorShift > 12 || clusterShift > maxShift-sectorShift {
		return g, fmt.Errorf("sectors of 2^%d bytes and clusters of 2^%d sectors", sectorShift, clusterShift)
	}
	if b[offRevision+1] != 1 || b[offTables] != 1 {
		return g, fmt.Errorf("exFAT %d.%d with %d tables is not supported", b[offRevision+1], b[offRevision], b[offTables])
	}
	total := le.Uint64(b[offVolumeLen:])
	if total == 0 || total > uint64(r.Size()>>sectorShift) {
		return g, fmt.Errorf("a volume of %d sectors of 2^%d bytes does not fit into %d bytes", total, sectorShift, r.Size())
	}
	sectors := func(off int) int64 { return int64(le.Uint32(b[off:])) << sectorShift }
	g = geometry{
		sector: 1 << sectorShift, cluster: 1 << (sectorShift + clusterShift),
		table: sectors(offTable), tableLen: sectors(offTableLen), heap: sectors(offHeap),
		clusters: int64(le.Uint32(b[offClusterCount:])), end: int64(total) << sectorShift,
		root: le.Uint32(b[offRoot:]), flags: le.Uint16(b[offFlags:]),
	}
	switch {
	case g.table < bootRegions*regionSectors*g.sector || g.heap < g.table+g.tableLen || g.heap > g.end:
		return g, fmt.Errorf("a table of %d bytes at byte %d, and clusters from byte %d", g.tableLen, g.table, g.heap)
	case g.clusters == 0 || g.clusters > maxClusters || g.clusters > (g.end-g.heap)/g.cluster:
		return g, fmt.Errorf("%d clusters of %d bytes in a volume of %d", g.clusters, g.cluster, g.end)
	case (g.clusters+firstCluster)*entrySize > g.tableLen:
		return g, fmt.Errorf("a table of %d bytes for %d clusters", g.tableLen, g.clusters)
	}
	return g, nil
}

// at returns where a cluster begins.
func (g geometry) at(c uint32) int64 { return g.heap + (int64(c)-firstCluster)*g.cluster }

// valid reports whether c is the number of a cluster.
func (g geometry) valid(c uint32) bool {
	return c >= firstCluster && int64(c)-firstCluster < g.clusters
}

// checkBoot refuses a volume that is in use, and one whose boot region was
// changed.
func (v *volume) checkBoot() error {
	if v.flags&(flagDirty|flagFailure) != 0 {
		return refused("the volume is marked dirty or as failing")
	}
	b := make([]byte, regionSectors*v.sector)
	if err := sanitize.ReadFull(v.r, b, 0); err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(b[sectorChecksum*v.sector:]) != bootSum(b[:sectorChecksum*v.sector]) {
		return refused("the checksum of the boot region does not hold")
	}
	return nil
}

// bootSum is the checksum of a boot region without the fields that change in
// use, SPEC section 3.4.
func bootSum(b []byte) (sum uint32) {
	for i, c := range b {
		if i == offFlags || i == offFlags+1 || i == offPercent {
			continue
		}
		sum = sum<<31 | sum>>1
		sum += uint32(c)
	}
	return sum
}
