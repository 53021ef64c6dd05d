package part

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
)

// Offsets in a boot sector (UEFI table 5-1).
const (
	mbrSignature = 440
	mbrEntries   = 446
	mbrEntrySize = 16
	mbrMagic     = 510
)

const (
	typeProtective = 0xee
	// maxLogical bounds the chain of logical partitions.
	maxLogical = 128
)

// bootSector is sector 0, or the first sector of a logical partition.
type bootSector []byte

// mbrEntry is one of its four entries; addresses are in sectors.
type mbrEntry struct {
	status, kind byte
	start, count int64
}

func readBootSector(r disk.Reader) (bootSector, error) {
	p, err := readAt(r, 0, disk.SectorSize)
	return bootSector(p), err
}

func (b bootSector) magic() bool { return b[mbrMagic] == 0x55 && b[mbrMagic+1] == 0xAA }

func (b bootSector) entry(i int) mbrEntry {
	p := b[mbrEntries+i*mbrEntrySize:]
	return mbrEntry{
		status: p[0], kind: p[4],
		start: int64(binary.LittleEndian.Uint32(p[8:])),
		count: int64(binary.LittleEndian.Uint32(p[12:])),
	}
}

// used counts the entries in use.
func (b bootSector) used() (n int) {
	for i := range 4 {
		if e := b.entry(i); e.kind != 0 && e.count != 0 {
			n++
		}
	}
	return n
}

func (b bootSector) protective() bool {
	for i := range 4 {
		if b.magic() && b.entry(i).kind == typeProtective {
			return true
		}
	}
	return false
}

// plausible tells a partition table from the code in the boot sector of a
// filesystem, which ends in the same two bytes.
func (b bootSector) plausible(size int64) bool {
	if !b.magic() || b.used() == 0 || b.protective() {
		return false
	}
	for i := range 4 {
		e := b.entry(i)
		if e.status&0x7f != 0 || e.kind != 0 && e.start == 0 || e.kind != 0 && e.start*disk.SectorSize >= size {
			return false
		}
	}
	return true
}

// addBootSector notes what sector 0 holds, for either scheme.
func (t *Table) addBootSector(b bootSector) {
	t.Signature = binary.LittleEndian.Uint32(b[mbrSignature:])
	t.BootCode = append([]byte{}, b[:mbrSignature]...)
	t.addPart(0, mbrSignature, true, "boot code")
	t.addPart(mbrSignature, mbrEntries, true, "MBR")
	t.addSlots(0, b, "MBR")
	t.addPart(disk.SectorSize, t.SectorSize, false, "slack of the MBR sector")
}

// addSlots notes the four entries of a boot sector at byte off and the mark
// behind them. An entry without a type is unused, whatever else is in it.
func (t *Table) addSlots(off int64, b bootSector, kind string) {
	for i := range int64(4) {
		at := off + mbrEntries + i*mbrEntrySize
		if b.entry(int(i)).kind != 0 {
			t.addPart(at, at+mbrEntrySize, true, kind)
		} else {
			t.addPart(at, at+mbrEntrySize, false, "unused entries of the "+kind)
		}
	}
	t.addPart(off+mbrMagic, off+disk.SectorSize, true, kind)
}

func isExtended(kind byte) bool { return kind == 0x05 || kind == 0x0f || kind == 0x85 }

func parseMBR(r disk.Reader, b bootSector) (*Table, error) {
	t := &Table{Scheme: MBR, SectorSize: disk.SectorSize}
	t.addBootSector(b)
	var extended []mbrEntry
	for i := range 4 {
		e := b.entry(i)
		switch {
		case e.kind == 0 || e.count == 0:
		case isExtended(e.kind):
			extended = append(extended, e)
		default:
			if err := t.addMBR(r, i+1, e); err != nil {
				return nil, err
			}
		}
	}
	if len(extended) > 1 {
		return nil, errors.New("it has more than one extended partition")
	}
	for _, e := range extended {
		if err := t.parseLogical(r, e); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *Table) addMBR(r disk.Reader, index int, e mbrEntry) error {
	x := disk.Extent{Off: e.start * t.SectorSize, Len: e.count * t.SectorSize}
	if x.End() > r.Size() {
		return fmt.Errorf("partition %d ends at byte %d, beyond the disk of %d", index, x.End(), r.Size())
	}
	entry := Entry{Index: index, MBRType: e.kind, Extent: x}
	if e.status&0x80 != 0 {
		entry.Attributes = LegacyBoot
	}
	t.Entries = append(t.Entries, entry)
	return nil
}

// parseLogical follows the chain of boot records in an extended partition.
// In each, the first entry is relative to the record, the second, which leads
// to the next record, to the extended partition.
func (t *Table) parseLogical(r disk.Reader, ext mbrEntry) error {
	at := ext.start
	for index := 5; ; index++ {
		if index-5 >= maxLogical {
			return fmt.Errorf("more than %d logical partitions, or a loop of them", maxLogical)
		}
		off := at * t.SectorSize
		p, err := readAt(r, off, disk.SectorSize)
		if err != nil {
			return fmt.Errorf("reading the record of logical partition %d: %w", index, err)
		}
		b := bootSector(p)
		if !b.magic() {
			return fmt.Errorf("the record of logical partition %d at byte %d has no magic", index, off)
		}
		t.addPart(off, off+mbrEntries, false, fmt.Sprintf("slack of the record of logical partition %d", index))
		t.addSlots(off, b, fmt.Sprintf("record of logical partition %d", index))
		if e := b.entry(0); e.kind != 0 && e.count != 0 {
			e.start += at
			if err := t.addMBR(r, index, e); err != nil {
				return err
			}
		}
		next := b.entry(1)
		if next.kind == 0 || next.count == 0 {
			return nil
		}
		if at = ext.start + next.start; next.start >= ext.count {
			return fmt.Errorf("the record of logical partition %d lies outside the extended partition", index+1)
		}
	}
}
