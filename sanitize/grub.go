package sanitize

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/part"
)

// Layout of GRUB's boot.img and diskboot.img, after
// include/grub/i386/pc/boot.h of GRUB 2.06.
const (
	grubKernelSector = 0x5c  // u64 in boot.img: where diskboot.img lies
	grubListEnd      = 0x200 // the block list grows down from the end of diskboot.img
	grubListStart    = 0x100 // code fills the first half at least
	grubListEntry    = 12    // u64 sector, u16 count, u16 segment
	grubMaxSectors   = 8192  // far above the 1 MiB that GRUB itself allows
)

// grubName is what boot.img prints ahead of an error.
var grubName = []byte("GRUB \x00")

// grubCore returns the sectors, one extent each, of the core image that the
// boot code in the first sector leads to. There are none when that is not
// GRUB's. Sectors are extents of their own, so that one which lies where it
// may not does not take the others along.
func grubCore(r disk.Reader, t *part.Table) ([]disk.Extent, error) {
	if len(t.BootCode) < grubKernelSector+8 || !bytes.Contains(t.BootCode, grubName) {
		return nil, nil
	}
	sectors := r.Size() / disk.SectorSize
	first := binary.LittleEndian.Uint64(t.BootCode[grubKernelSector:])
	if first == 0 || first >= uint64(sectors) {
		return nil, nil
	}
	b := make([]byte, disk.SectorSize)
	if err := ReadFull(r, b, int64(first)*disk.SectorSize); err != nil {
		return nil, err
	}
	numbers := []int64{int64(first)}
	for at := grubListEnd - grubListEntry; at >= grubListStart; at -= grubListEntry {
		start, n := binary.LittleEndian.Uint64(b[at:]), int64(binary.LittleEndian.Uint16(b[at+8:]))
		if n == 0 {
			break
		}
		if start >= uint64(sectors) || n > sectors-int64(start) || int64(len(numbers))+n > grubMaxSectors {
			continue
		}
		for i := range n {
			numbers = append(numbers, int64(start)+i)
		}
	}
	slices.SortFunc(numbers, cmp.Compare)
	var core []disk.Extent
	for _, n := range slices.Compact(numbers) {
		core = append(core, disk.Extent{Off: n * disk.SectorSize, Len: disk.SectorSize})
	}
	return core, nil
}
