package part

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"unicode/utf16"

	"github.com/imgbuild/imgbuild/disk"
)

// Offsets in a GPT header (UEFI table 5-5) and in an entry (table 5-6).
const (
	hdrSize       = 12
	hdrSum        = 16
	hdrSelf       = 24
	hdrOther      = 32
	hdrFirst      = 40
	hdrLast       = 48
	hdrDisk       = 56
	hdrEntries    = 72
	hdrCount      = 80
	hdrEntrySize  = 84
	hdrEntriesSum = 88
	hdrLen        = 92

	entGUID  = 16
	entFirst = 32
	entLast  = 40
	entAttrs = 48
	entName  = 56
	entLen   = 128
)

const (
	gptMagic = "EFI PART"
	// maxEntries bounds the entry array; 128 is what everyone writes.
	maxEntries   = 1024
	maxEntrySize = 4096
)

// header is a GPT header that was verified, with its entries.
type header struct {
	role        string // "primary" or "backup"
	sector      int64  // the sector size, in bytes
	size        int64  // of the header, in bytes
	self, other int64  // sectors: this header and its copy
	first, last int64  // sectors that partitions may use
	disk        GUID
	entries     int64 // sector of the array
	count       int64
	entrySize   int64
	array       []byte
}

func (h header) arrayExtent() disk.Extent {
	return disk.Extent{Off: h.entries * h.sector, Len: h.count * h.entrySize}
}

// parseGPT tries both sector sizes, and both copies with each.
func parseGPT(r disk.Reader) (*Table, error) {
	err := ErrNotFound
	for _, sector := range []int64{disk.SectorSize, 4096} {
		t, e := parseGPTSectors(r, sector)
		if t != nil {
			return t, nil
		}
		if !errors.Is(e, ErrNotFound) {
			err = e
		}
	}
	return nil, err
}

func parseGPTSectors(r disk.Reader, sector int64) (*Table, error) {
	last := r.Size()/sector - 1
	primary, err := readHeader(r, "primary", sector, 1)
	backupAt := last
	if err == nil {
		backupAt = primary.other
	}
	backup, backupErr := readHeader(r, "backup", sector, backupAt)
	t := &Table{Scheme: GPT, SectorSize: sector}
	switch {
	case err != nil && backupErr != nil:
		return nil, err
	case err != nil:
		t.note("the primary GPT is damaged: %v", err)
		t.gpt = []header{backup}
	case backupErr != nil:
		t.note("the backup GPT is damaged: %v", backupErr)
		t.gpt = []header{primary}
	default:
		t.gpt = []header{primary, backup}
		if !bytes.Equal(primary.array, backup.array) || primary.disk != backup.disk {
			t.note("the two copies of the GPT differ; the primary one counts")
		}
		if backupAt != last {
			t.note("the backup GPT is not at the end of the disk")
		}
	}
	t.DiskGUID = t.gpt[0].disk
	for _, h := range t.gpt {
		t.addHeaderParts(h)
	}
	if err := t.addEntries(t.gpt[0]); err != nil {
		return nil, err
	}
	return t, nil
}

// readHeader reads and verifies the header in a sector, and its entries.
func readHeader(r disk.Reader, role string, sector, at int64) (header, error) {
	if at < 1 || at >= r.Size()/sector {
		return header{}, fmt.Errorf("its header is said to be in sector %d, beyond the disk", at)
	}
	p, err := readAt(r, at*sector, int(sector))
	if err != nil {
		return header{}, err
	}
	if string(p[:8]) != gptMagic {
		return header{}, fmt.Errorf("%w: sector %d has no GPT magic", ErrNotFound, at)
	}
	word := func(off int) int64 { return int64(binary.LittleEndian.Uint64(p[off:])) }
	half := func(off int) uint32 { return binary.LittleEndian.Uint32(p[off:]) }
	h := header{
		role: role, sector: sector, size: int64(half(hdrSize)),
		self: word(hdrSelf), other: word(hdrOther), first: word(hdrFirst), last: word(hdrLast),
		disk: GUID(p[hdrDisk:][:16]).Mixed(), entries: word(hdrEntries),
		count: int64(half(hdrCount)), entrySize: int64(half(hdrEntrySize)),
	}
	if h.size < hdrLen || h.size > sector {
		return header{}, fmt.Errorf("its header has %d bytes", h.size)
	}
	sum := half(hdrSum)
	clear(p[hdrSum:][:4])
	if crc32.ChecksumIEEE(p[:h.size]) != sum {
		return header{}, errors.New("the checksum of its header is wrong")
	}
	if err := h.check(r.Size(), at); err != nil {
		return header{}, err
	}
	if h.array, err = readAt(r, h.arrayExtent().Off, int(h.arrayExtent().Len)); err != nil {
		return header{}, fmt.Errorf("reading its entries: %w", err)
	}
	if crc32.ChecksumIEEE(h.array) != half(hdrEntriesSum) {
		return header{}, errors.New("the checksum of its entries is wrong")
	}
	return h, nil
}

// check bounds everything that a header tells.
func (h header) check(size, at int64) error {
	sectors := size / h.sector
	switch {
	case h.self != at:
		return fmt.Errorf("its header is in sector %d and says %d", at, h.self)
	case h.count < 1 || h.count > maxEntries || h.entrySize < entLen || h.entrySize > maxEntrySize || h.entrySize%8 != 0:
		return fmt.Errorf("%d entries of %d bytes are out of range", h.count, h.entrySize)
	case h.entries < 1 || h.entries >= sectors || h.arrayExtent().End() > size:
		return fmt.Errorf("its entries in sector %d lie beyond the disk", h.entries)
	case h.first < 1 || h.last >= sectors || h.first > h.last+1:
		return fmt.Errorf("the usable sectors %d to %d lie beyond the disk", h.first, h.last)
	}
	return nil
}

// addHeaderParts notes what a header and its array occupy.
func (t *Table) addHeaderParts(h header) {
	at := h.self * h.sector
	t.addPart(at, at+h.size, true, h.role+" header")
	t.addPart(at+h.size, at+h.sector, false, "slack of the "+h.role+" header")
	x := h.arrayExtent()
	free := x.Off // where the current run of unused entries began
	for i := range h.count {
		p := h.array[i*h.entrySize:][:h.entrySize]
		if GUID(p[:16]).IsZero() {
			continue
		}
		off := x.Off + i*h.entrySize
		end := off + entName + nameLen(p)
		t.addPart(free, off, false, "unused "+h.role+" entries")
		t.addPart(off, end, true, fmt.Sprintf("%s entry %d", h.role, i+1))
		t.addPart(end, off+h.entrySize, false, fmt.Sprintf("slack of the %s entry %d", h.role, i+1))
		free = off + h.entrySize
	}
	end := (x.End() + h.sector - 1) / h.sector * h.sector
	t.addPart(free, x.End(), false, "unused "+h.role+" entries")
	t.addPart(x.End(), end, false, "slack of the "+h.role+" entries")
}

// nameLen returns the length of the name of an entry in bytes, with its
// terminator: what follows may be left over from a longer name.
func nameLen(entry []byte) int64 {
	for i := entName; i < entLen; i += 2 {
		if entry[i] == 0 && entry[i+1] == 0 {
			return int64(i + 2 - entName)
		}
	}
	return entLen - entName
}

func (t *Table) addEntries(h header) error {
	for i := range h.count {
		p := h.array[i*h.entrySize:][:h.entrySize]
		if GUID(p[:16]).IsZero() {
			continue
		}
		first := int64(binary.LittleEndian.Uint64(p[entFirst:]))
		last := int64(binary.LittleEndian.Uint64(p[entLast:]))
		if first < h.first || last > h.last || first > last {
			return fmt.Errorf("partition %d has sectors %d to %d, outside of %d to %d", i+1, first, last, h.first, h.last)
		}
		t.Entries = append(t.Entries, Entry{
			Index: int(i) + 1, Type: GUID(p[:16]).Mixed(), GUID: GUID(p[entGUID:][:16]).Mixed(),
			Attributes: binary.LittleEndian.Uint64(p[entAttrs:]), Name: decodeName(p[entName:entLen]),
			Extent: disk.Extent{Off: first * h.sector, Len: (last - first + 1) * h.sector},
		})
	}
	return nil
}

func decodeName(p []byte) string {
	var units []uint16
	for i := 0; i < len(p); i += 2 {
		units = append(units, binary.LittleEndian.Uint16(p[i:]))
	}
	if i := slices.Index(units, 0); i >= 0 {
		units = units[:i]
	}
	return string(utf16.Decode(units))
}
