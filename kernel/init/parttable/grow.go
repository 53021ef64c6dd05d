package parttable

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Disk is a disk whose table can be changed. Sync returns when what was written
// is on the medium.
type Disk interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// Extent is where a partition lies, in bytes.
type Extent struct{ Start, Length int64 }

// Growth is how partitions are aligned, and the least that one grows by, in
// bytes.
const Growth = 1 << 20

// headBlock is the piece of the disk that is written in one go: the protective
// MBR, the primary header and the entries of the first partitions. It is the
// block size of every disk of today, which is written whole or not at all.
const headBlock = 4096

// Offsets in the header and in an entry (UEFI Specification 2.10, tables 5.5
// and 5.6).
const (
	headerSizeAt    = 12
	headerCRCAt     = 16
	myLBAAt         = 24
	alternateLBAAt  = 32
	lastUsableAt    = 48
	entriesLBAAt    = 72
	entryCountAt    = 80
	entrySizeAt     = 84
	entriesCRCAt    = 88
	headerLength    = 92
	entryGUIDAt     = 16
	entryFirstLBAAt = 32
	entryLastLBAAt  = 40
)

// Grow makes the last partition of a GPT disk as large as the disk allows, when
// that is the one named by partuuid, and returns where it lies then and whether
// it has grown. size is that of the disk and blockSize its logical block size,
// in bytes. A disk that has no room, or another partition behind, is left alone,
// and so is one with blocks of other than 512 bytes.
//
// A power cut at any moment leaves a table that is as it was or as it is to be:
// the backup table is written first, where nothing was, and then the primary
// one by a single write of one block.
func Grow(disk Disk, size, blockSize int64, partuuid string) (Extent, bool, error) {
	guid, ok := parseGUID(partuuid)
	if blockSize != 512 || !ok {
		return Extent{}, false, nil
	}
	t, err := readTable(disk, size)
	if err != nil {
		return Extent{}, false, fmt.Errorf("reading the GPT: %w", err)
	}
	at := t.find(guid)
	if at < 0 {
		return Extent{}, false, ErrNotFound
	}
	if !t.grow(at) {
		return t.extent(at), false, nil
	}
	if err := t.write(disk); err != nil {
		return Extent{}, false, fmt.Errorf("writing the GPT: %w", err)
	}
	return t.extent(at), true, nil
}

// table is a primary GPT in memory.
type table struct {
	head      []byte // the first blocks of the disk, up to headBlock or the end of the entries
	entries   []byte // within head
	entrySize int64
	blocks    int64 // of the disk
	backup    int64 // blocks of a backup: the entries and the header
}

// readTable reads the primary table and checks its two checksums: one that is
// damaged is for nobody to write to.
func readTable(disk io.ReaderAt, size int64) (*table, error) {
	le := binary.LittleEndian
	head := make([]byte, headBlock)
	if _, err := disk.ReadAt(head, 0); err != nil {
		return nil, err
	}
	h := head[512:1024]
	if string(h[:8]) != "EFI PART" || le.Uint32(h[headerSizeAt:]) != headerLength || le.Uint64(h[myLBAAt:]) != 1 {
		return nil, errors.New("it has no header of version 1")
	}
	count, entrySize := int64(le.Uint32(h[entryCountAt:])), int64(le.Uint32(h[entrySizeAt:]))
	if le.Uint64(h[entriesLBAAt:]) != 2 || count == 0 || count > maxEntries || entrySize < minEntrySize || entrySize > maxEntrySize {
		return nil, fmt.Errorf("its header has %d entries of %d bytes", count, entrySize)
	}
	if end := 1024 + count*entrySize; end > headBlock {
		rest := make([]byte, end-headBlock)
		if _, err := disk.ReadAt(rest, headBlock); err != nil {
			return nil, err
		}
		head = append(head, rest...)
	}
	t := &table{head: head, entries: head[1024 : 1024+count*entrySize], entrySize: entrySize, blocks: size / 512}
	t.backup = (int64(len(t.entries))+511)/512 + 1
	if t.crc() != le.Uint32(t.header()[headerCRCAt:]) || crc32.ChecksumIEEE(t.entries) != le.Uint32(t.header()[entriesCRCAt:]) {
		return nil, errors.New("its checksums do not hold")
	}
	return t, nil
}

func (t *table) header() []byte { return t.head[512 : 512+headerLength] }

// crc is the checksum of the header, in which its own field counts as zero.
func (t *table) crc() uint32 {
	h := bytes.Clone(t.header())
	clear(h[headerCRCAt : headerCRCAt+4])
	return crc32.ChecksumIEEE(h)
}

// find returns the index of a partition, or -1.
func (t *table) find(guid [16]byte) int {
	for i := range len(t.entries) / int(t.entrySize) {
		if e := t.entry(i); [16]byte(e[:16]) != [16]byte{} && [16]byte(e[entryGUIDAt:]) == guid {
			return i
		}
	}
	return -1
}

func (t *table) entry(i int) []byte { return t.entries[int64(i)*t.entrySize:][:t.entrySize] }

func (t *table) extent(i int) Extent {
	le := binary.LittleEndian
	first, last := le.Uint64(t.entry(i)[entryFirstLBAAt:]), le.Uint64(t.entry(i)[entryLastLBAAt:])
	return Extent{Start: int64(first) * 512, Length: int64(last-first+1) * 512}
}

// grow changes the table in memory, and tells whether it did. The entry must
// lie in the block that is written in one go.
func (t *table) grow(at int) bool {
	le := binary.LittleEndian
	e := t.entry(at)
	first, last := le.Uint64(e[entryFirstLBAAt:]), le.Uint64(e[entryLastLBAAt:])
	const unit = Growth / 512
	end := uint64(max(0, t.blocks-t.backup)) / unit * unit // the block behind the last one
	if 1024+int64(at+1)*t.entrySize > headBlock || first > last || end <= last+unit || t.blocks > 1<<50 {
		return false
	}
	for i := range len(t.entries) / int(t.entrySize) {
		if other := t.entry(i); i != at && [16]byte(other[:16]) != [16]byte{} && le.Uint64(other[entryLastLBAAt:]) >= first {
			return false
		}
	}
	le.PutUint64(e[entryLastLBAAt:], end-1)
	h := t.header()
	le.PutUint64(h[alternateLBAAt:], uint64(t.blocks-1))
	le.PutUint64(h[lastUsableAt:], uint64(t.blocks-t.backup-1))
	le.PutUint32(h[entriesCRCAt:], crc32.ChecksumIEEE(t.entries))
	le.PutUint32(h[headerCRCAt:], t.crc())
	t.protect()
	return true
}

// protect makes the entry of the protective MBR cover the disk (UEFI
// Specification 2.10, table 5.4).
func (t *table) protect() {
	if entry := t.head[446:462]; entry[4] == 0xee {
		binary.LittleEndian.PutUint32(entry[12:], uint32(min(t.blocks-1, 1<<32-1)))
	}
}

// write writes the backup to the end of the disk, then the primary.
func (t *table) write(disk Disk) error {
	le := binary.LittleEndian
	backup := make([]byte, t.backup*512)
	copy(backup, t.entries)
	h := backup[len(backup)-512:]
	copy(h, t.header())
	le.PutUint64(h[myLBAAt:], uint64(t.blocks-1))
	le.PutUint64(h[alternateLBAAt:], 1)
	le.PutUint64(h[entriesLBAAt:], uint64(t.blocks-t.backup))
	clear(h[headerCRCAt : headerCRCAt+4])
	le.PutUint32(h[headerCRCAt:], crc32.ChecksumIEEE(h[:headerLength]))
	if _, err := disk.WriteAt(backup, (t.blocks-t.backup)*512); err != nil {
		return err
	}
	if err := disk.Sync(); err != nil {
		return err
	}
	if _, err := disk.WriteAt(t.head[:headBlock], 0); err != nil {
		return err
	}
	return disk.Sync()
}
