package part

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"unicode/utf16"

	"github.com/imgbuild/imgbuild/disk"
)

const (
	// gptEntries is the number of entries that Write makes room for.
	gptEntries  = 128
	gptRevision = 0x00010000
)

// Reserved returns how many bytes a GPT takes at the beginning and at the end
// of a disk with the given sector size. Partitions lie between.
func Reserved(sectorSize int64) (head, tail int64) {
	array := int64(gptEntries * entLen)
	return 2*sectorSize + array, sectorSize + array
}

// Write makes the table on w. It writes the sectors of the table and nothing
// else; unused bytes in them become zero. The table is checked first: nothing
// is written when a partition lies where it may not.
func (t *Table) Write(w disk.Writer) error {
	c := *t
	c.Entries = slices.Clone(t.Entries)
	if c.SectorSize == 0 {
		c.SectorSize = disk.SectorSize
	}
	for i := range c.Entries {
		if c.Entries[i].Index == 0 {
			c.Entries[i].Index = i + 1
		}
	}
	write, err := c.writer(w.Size())
	if err == nil {
		err = write(w)
	}
	if err != nil {
		return fmt.Errorf("writing the %s partition table: %w", t.Scheme, err)
	}
	return nil
}

// writer checks the table for a disk of size bytes.
func (t *Table) writer(size int64) (func(disk.Writer) error, error) {
	if t.SectorSize != disk.SectorSize && t.SectorSize != 4096 {
		return nil, fmt.Errorf("sectors of %d bytes", t.SectorSize)
	}
	if len(t.BootCode) > mbrSignature {
		return nil, fmt.Errorf("boot code of %d bytes, where %d fit", len(t.BootCode), mbrSignature)
	}
	switch t.Scheme {
	case GPT:
		head, tail := Reserved(t.SectorSize)
		return t.writeGPT, t.check(head, size/t.SectorSize*t.SectorSize-tail, gptEntries)
	case MBR:
		return t.writeMBR, t.check(t.SectorSize, size, 4)
	}
	return nil, fmt.Errorf("unknown scheme %q", t.Scheme)
}

// check tells whether all entries have a place within [from, to).
func (t *Table) check(from, to int64, count int) error {
	if from > to {
		return errors.New("the disk is too small for it")
	}
	seen := map[int]bool{}
	for i, e := range t.Entries {
		switch {
		case e.Index < 1 || e.Index > count || seen[e.Index]:
			return fmt.Errorf("partition %d: numbers go from 1 to %d, each once", e.Index, count)
		case e.Off%t.SectorSize != 0 || e.Len%t.SectorSize != 0 || e.Len <= 0:
			return fmt.Errorf("partition %d at %v: it does not consist of whole sectors", e.Index, e.Extent)
		case e.Off < from || e.Len > to-e.Off:
			return fmt.Errorf("partition %d at %v: the disk has room from %d to %d", e.Index, e.Extent, from, to)
		case t.Scheme == GPT && (e.Type.IsZero() || len(utf16.Encode([]rune(e.Name))) > (entLen-entName)/2):
			return fmt.Errorf("partition %d: it has no type, or a name of more than 36 characters", e.Index)
		case t.Scheme == MBR && (e.MBRType == 0 || isExtended(e.MBRType) || e.MBRType == typeProtective):
			return fmt.Errorf("partition %d: type %#02x cannot be written", e.Index, e.MBRType)
		case t.Scheme == MBR && e.End()/t.SectorSize > 1<<32:
			return fmt.Errorf("partition %d at %v: an MBR has addresses of 32 bits", e.Index, e.Extent)
		}
		seen[e.Index] = true
		for _, f := range t.Entries[:i] {
			if e.Off < f.End() && f.Off < e.End() {
				return fmt.Errorf("partitions %d and %d overlap", f.Index, e.Index)
			}
		}
	}
	return nil
}

// bootSector returns a sector 0 without entries.
func (t *Table) bootSector(r disk.Reader) ([]byte, error) {
	sector := make([]byte, t.SectorSize)
	if t.BootCode != nil {
		copy(sector, t.BootCode)
	} else {
		code, err := readAt(r, 0, mbrSignature)
		if err != nil {
			return nil, fmt.Errorf("keeping the boot code: %w", err)
		}
		copy(sector, code)
	}
	binary.LittleEndian.PutUint32(sector[mbrSignature:], t.Signature)
	sector[mbrMagic], sector[mbrMagic+1] = 0x55, 0xAA
	return sector, nil
}

func (t *Table) writeMBR(w disk.Writer) error {
	sector, err := t.bootSector(w)
	if err != nil {
		return err
	}
	for _, e := range t.Entries {
		first, count := e.Off/t.SectorSize, e.Len/t.SectorSize
		p := sector[mbrEntries+(e.Index-1)*mbrEntrySize:]
		if e.Attributes&LegacyBoot != 0 {
			p[0] = 0x80
		}
		p[4] = e.MBRType
		putCHS(p[1:], first)
		putCHS(p[5:], first+count-1)
		binary.LittleEndian.PutUint32(p[8:], uint32(first))
		binary.LittleEndian.PutUint32(p[12:], uint32(count))
	}
	_, err = w.WriteAt(sector, 0)
	return err
}

// putCHS writes an address as cylinder, head and sector, for 255 heads and 63
// sectors. Addresses beyond 8 GB have the largest value.
func putCHS(p []byte, sector int64) {
	cylinder, head, s := sector/(255*63), sector/63%255, sector%63+1
	if cylinder > 1023 {
		cylinder, head, s = 1023, 254, 63
	}
	p[0], p[1], p[2] = byte(head), byte(s)|byte(cylinder>>8<<6), byte(cylinder)
}

func (t *Table) writeGPT(w disk.Writer) error {
	sector, err := t.bootSector(w)
	if err != nil {
		return err
	}
	last := w.Size()/t.SectorSize - 1
	p := sector[mbrEntries:] // UEFI table 5-4
	p[4] = typeProtective
	p[2] = 2
	p[5], p[6], p[7] = 0xff, 0xff, 0xff
	binary.LittleEndian.PutUint32(p[8:], 1)
	binary.LittleEndian.PutUint32(p[12:], uint32(min(last, 0xffffffff)))

	array := t.encodeEntries()
	arraySectors := int64(len(array)) / t.SectorSize
	// The backup goes first: whoever is interrupted keeps an old primary.
	for _, write := range []struct {
		data []byte
		at   int64
	}{
		{array, last - arraySectors},
		{t.encodeHeader(array, last, 1, last-arraySectors, last), last},
		{array, 2},
		{t.encodeHeader(array, 1, last, 2, last), 1},
		{sector, 0},
	} {
		if _, err := w.WriteAt(write.data, write.at*t.SectorSize); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table) encodeEntries() []byte {
	array := make([]byte, gptEntries*entLen)
	for _, e := range t.Entries {
		p := array[(e.Index-1)*entLen:]
		typ, id := e.Type.Mixed(), e.GUID.Mixed()
		copy(p, typ[:])
		copy(p[entGUID:], id[:])
		binary.LittleEndian.PutUint64(p[entFirst:], uint64(e.Off/t.SectorSize))
		binary.LittleEndian.PutUint64(p[entLast:], uint64(e.End()/t.SectorSize-1))
		binary.LittleEndian.PutUint64(p[entAttrs:], e.Attributes)
		for i, u := range utf16.Encode([]rune(e.Name)) {
			binary.LittleEndian.PutUint16(p[entName+2*i:], u)
		}
	}
	return array
}

// encodeHeader returns the sector of a header; last is the last of the disk.
func (t *Table) encodeHeader(array []byte, self, other, entries, last int64) []byte {
	p := make([]byte, t.SectorSize)
	arraySectors := int64(len(array)) / t.SectorSize
	copy(p, gptMagic)
	binary.LittleEndian.PutUint32(p[8:], gptRevision)
	binary.LittleEndian.PutUint32(p[hdrSize:], hdrLen)
	for off, v := range map[int]int64{
		hdrSelf: self, hdrOther: other, hdrFirst: 2 + arraySectors, hdrLast: last - arraySectors - 1, hdrEntries: entries,
	} {
		binary.LittleEndian.PutUint64(p[off:], uint64(v))
	}
	id := t.DiskGUID.Mixed()
	copy(p[hdrDisk:], id[:])
	binary.LittleEndian.PutUint32(p[hdrCount:], gptEntries)
	binary.LittleEndian.PutUint32(p[hdrEntrySize:], entLen)
	seal(p, hdrLen, array)
	return p
}

// seal puts both checksums into a header.
func seal(p []byte, size int64, array []byte) {
	binary.LittleEndian.PutUint32(p[hdrEntriesSum:], crc32.ChecksumIEEE(array))
	clear(p[hdrSum:][:4])
	binary.LittleEndian.PutUint32(p[hdrSum:], crc32.ChecksumIEEE(p[:size]))
}

// Reseal corrects the checksums of a parsed GPT on w after unused parts of it
// were zeroed. It does nothing for an MBR.
func (t *Table) Reseal(w disk.Writer) error {
	for _, h := range t.gpt {
		array, err := readAt(w, h.arrayExtent().Off, int(h.arrayExtent().Len))
		if err != nil {
			return fmt.Errorf("resealing the %s GPT: %w", h.role, err)
		}
		p, err := readAt(w, h.self*h.sector, int(h.size))
		if err != nil {
			return fmt.Errorf("resealing the %s GPT: %w", h.role, err)
		}
		seal(p, h.size, array)
		if _, err := w.WriteAt(p, h.self*h.sector); err != nil {
			return fmt.Errorf("resealing the %s GPT: %w", h.role, err)
		}
	}
	return nil
}
