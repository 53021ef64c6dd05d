// Package fat accounts for FAT12, FAT16 and FAT32 filesystems, such as the
// EFI system partition.
//
// The layout is that of Microsoft's "FAT: General Overview of On-Disk Format"
// 1.03, cited below as FATGEN: reserved sectors, the allocation tables, a root
// directory of fixed size (FAT12 and FAT16 only), and clusters.
//
// Dead are free clusters, the slack of files, deleted directory entries but
// for their mark, what follows the end mark of a directory, the tail of each
// table behind its last entry, and the sectors behind the last cluster.
// Reserved sectors are boot code: loaders keep their stages there. A cluster
// that is marked bad, or allocated and reached from no directory, is unknown.
//
// A volume that was not unmounted cleanly, or whose tables differ, is
// refused. FAT has no checksums, so nothing is resealed.
package fat

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Driver recognises FAT12, FAT16 and FAT32.
type Driver struct{}

// Name returns "fat".
func (Driver) Name() string { return "fat" }

// Open reads the boot sector and compares the tables.
func (Driver) Open(ctx context.Context, r disk.Reader) (sanitize.Filesystem, error) {
	v, err := readBoot(r)
	if err != nil {
		return nil, err
	}
	if err := v.checkState(); err != nil {
		return nil, err
	}
	if err := v.compareTables(ctx); err != nil {
		return nil, err
	}
	return v, nil
}

// volume is the geometry of a filesystem, in bytes unless said otherwise.
type volume struct {
	r        disk.Reader
	bits     int   // 12, 16 or 32
	sector   int64 // bytes in a sector
	cluster  int64 // bytes in a cluster
	tables   int64 // where the first table begins
	tableLen int64
	copies   int64 // number of tables
	active   int64 // the table that counts
	mirrored bool  // all tables are equal
	root     int64 // where the fixed root directory begins
	rootLen  int64 // 0 on FAT32
	data     int64 // where cluster 2 begins
	clusters int64 // number of clusters
	end      int64 // of the filesystem
	info     int64 // sector number of FSInfo, 0 for none
	first    uint32
	label    string
	fat      *table
}

// Offsets in the boot sector, FATGEN section "Boot Sector and BPB".
const (
	offSectorBytes    = 11
	offClusterSectors = 13
	offReserved       = 14
	offCopies         = 16
	offRootEntries    = 17
	offTotal16        = 19
	offMedia          = 21
	offTableSectors16 = 22
	offTotal32        = 32
	offTableSectors32 = 36
	offExtFlags       = 40
	offRootCluster    = 44
	offInfoSector     = 48
	offSignature      = 510

	dirEntry = 32 // bytes in a directory entry
)

func readBoot(r disk.Reader) (*volume, error) {
	if r.Size() < 512 {
		return nil, sanitize.ErrNotRecognized
	}
	b := make([]byte, 512)
	if err := sanitize.ReadFull(r, b, 0); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	v := &volume{r: r, sector: int64(le.Uint16(b[offSectorBytes:])), mirrored: true}
	perCluster, media := int64(b[offClusterSectors]), b[offMedia]
	v.copies = int64(b[offCopies])
	jump := b[0] == 0xeb && b[2] == 0x90 || b[0] == 0xe9
	if b[offSignature] != 0x55 || b[offSignature+1] != 0xaa || !jump ||
		v.sector < 512 || v.sector > 4096 || v.sector&(v.sector-1) != 0 ||
		perCluster == 0 || perCluster&(perCluster-1) != 0 ||
		v.copies == 0 || v.copies > 4 || (media != 0xf0 && media < 0xf8) {
		return nil, sanitize.ErrNotRecognized
	}
	reserved := int64(le.Uint16(b[offReserved:]))
	tableSectors := int64(le.Uint16(b[offTableSectors16:]))
	fat32 := tableSectors == 0
	if fat32 {
		tableSectors = int64(le.Uint32(b[offTableSectors32:]))
	}
	total := int64(le.Uint16(b[offTotal16:]))
	if total == 0 {
		total = int64(le.Uint32(b[offTotal32:]))
	}
	if reserved == 0 || tableSectors == 0 || total == 0 {
		return nil, sanitize.ErrNotRecognized // exFAT and NTFS zero these fields
	}
	v.cluster = perCluster * v.sector
	v.tables, v.tableLen = reserved*v.sector, tableSectors*v.sector
	v.root = v.tables + v.copies*v.tableLen
	v.rootLen = (int64(le.Uint16(b[offRootEntries:]))*dirEntry + v.sector - 1) / v.sector * v.sector
	v.data, v.end = v.root+v.rootLen, total*v.sector
	if v.end > r.Size() || v.data >= v.end {
		return nil, fmt.Errorf("a volume of %d bytes with data at byte %d does not fit into %d bytes", v.end, v.data, r.Size())
	}
	v.clusters = (v.end - v.data) / v.cluster
	return v, v.setKind(b, fat32)
}

// setKind determines the type. Linux and mkfs.fat go by the length field of
// the table for FAT32 and by the cluster count below (FATGEN section "FAT
// Type Determination").
func (v *volume) setKind(b []byte, fat32 bool) error {
	le := binary.LittleEndian
	ext := 36 // where the extended boot record with the label begins
	switch {
	case fat32:
		v.bits, ext = 32, 64
		v.first = le.Uint32(b[offRootCluster:])
		if flags := le.Uint16(b[offExtFlags:]); flags&0x80 != 0 {
			v.mirrored, v.active = false, int64(flags&0xf)
		}
		if info := int64(le.Uint16(b[offInfoSector:])); info*v.sector < v.tables {
			v.info = info
		}
		if v.rootLen != 0 {
			return errors.New("a FAT32 volume has a fixed root directory")
		}
	case v.clusters < 4085:
		v.bits = 12
	default:
		v.bits = 16
	}
	if v.active >= v.copies {
		return fmt.Errorf("table %d of %d is the active one", v.active, v.copies)
	}
	if b[ext+2] == 0x29 { // the extended boot signature
		v.label = strings.TrimRight(oem(b[ext+7:ext+18]), " \x00")
		if v.label == "NO NAME" {
			v.label = ""
		}
	}
	v.fat = newTable(v)
	if need := v.fat.bytesFor(v.clusters + 2); need > v.tableLen {
		return fmt.Errorf("a table of %d bytes does not hold %d clusters", v.tableLen, v.clusters)
	}
	// Windows and Linux mark a mounted volume in the extended boot record,
	// byte 1 bit 0.
	if b[ext+1]&1 != 0 {
		return refused("the volume was not unmounted cleanly")
	}
	return nil
}

func refused(why string) error {
	return fault.New(fault.Input, fmt.Errorf("%s: %w", why, sanitize.ErrRefused), "run `fsck.fat -a` on a copy of the volume first")
}

// Type returns "FAT12", "FAT16" or "FAT32".
func (v *volume) Type() string { return fmt.Sprintf("FAT%d", v.bits) }

// Label returns the label in the boot sector.
func (v *volume) Label() string { return v.label }

// clusterAt returns where a cluster begins.
func (v *volume) clusterAt(c uint32) int64 { return v.data + (int64(c)-2)*v.cluster }

// valid reports whether c is the number of a cluster.
func (v *volume) valid(c uint32) bool { return c >= 2 && int64(c)-2 < v.clusters }
