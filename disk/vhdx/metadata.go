package vhdx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk/part"
	"github.com/imgbuild/imgbuild/fault"

	"github.com/imgbuild/imgbuild/disk/internal/blocktable"
)

// metadata says what the disk is like (section 2.6.2).
type metadata struct {
	size   int64
	block  int64
	sector int64
	id     part.GUID
}

const (
	minBlock = mib
	maxBlock = 256 * mib
)

// chunk is the number of payload blocks that share an entry for a sector
// bitmap in the block table (section 2.5).
func (m metadata) chunk() int64 { return 1 << 23 * m.sector / m.block }

// blocks is the number of payload blocks.
func (m metadata) blocks() int64 { return blocktable.DivUp(m.size, m.block) }

// entries is the number of entries in the block table, those for the sector
// bitmaps among them.
func (m metadata) entries() int64 {
	n := m.blocks()
	return n + max(n-1, 0)/m.chunk()
}

// entry is the place of a payload block in the block table.
func (m metadata) entry(block int64) int64 { return block + block/m.chunk() }

// encode returns the table and its items, to the end of the last one.
func (m metadata) encode() []byte {
	long := func(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }
	word := func(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }
	items := []struct {
		id    part.GUID
		flags uint32
		data  []byte
	}{
		{itemParameters, requiredItem, append(word(uint32(m.block)), word(0)...)},
		{itemSize, requiredItem | ofDisk, long(uint64(m.size))},
		{itemID, requiredItem | ofDisk, m.id[:]},
		{itemLogicalSector, requiredItem | ofDisk, word(uint32(m.sector))},
		{itemPhysicalSector, requiredItem | ofDisk, word(4096)},
	}
	p := make([]byte, metadataTable)
	copy(p, metadataMagic)
	binary.LittleEndian.PutUint16(p[10:], uint16(len(items)))
	for i, it := range items {
		e := p[32+32*i:]
		copy(e, it.id[:])
		binary.LittleEndian.PutUint32(e[16:], uint32(len(p)))
		binary.LittleEndian.PutUint32(e[20:], uint32(len(it.data)))
		binary.LittleEndian.PutUint32(e[24:], it.flags)
		p = append(p, it.data...)
	}
	return p
}

// readMetadata reads the items of a region that a reader needs.
func readMetadata(r io.ReaderAt, at region) (metadata, error) {
	p, err := blocktable.Read(r, at.off, metadataTable)
	if err != nil {
		return metadata{}, fmt.Errorf("reading the metadata: %w", err)
	}
	count := int(binary.LittleEndian.Uint16(p[10:]))
	if string(p[:8]) != metadataMagic || count > maxItems {
		return metadata{}, errors.New("its metadata are damaged")
	}
	var m metadata
	for i := range count {
		e := p[32+32*i:][:32]
		off, n := int64(binary.LittleEndian.Uint32(e[16:])), int64(binary.LittleEndian.Uint32(e[20:]))
		if off+n > at.size {
			return metadata{}, fmt.Errorf("an item of its metadata, %d bytes at %d, lies beyond their %d bytes", n, off, at.size)
		}
		var item [16]byte
		data, err := blocktable.Read(r, at.off+off, min(n, int64(len(item))))
		if err != nil {
			return metadata{}, fmt.Errorf("reading the metadata: %w", err)
		}
		copy(item[:], data)
		if err := m.set(part.GUID(e[:16]), binary.LittleEndian.Uint32(e[24:]), item[:]); err != nil {
			return metadata{}, err
		}
	}
	return m, m.check()
}

// set takes an item, whose first bytes are p.
func (m *metadata) set(id part.GUID, flags uint32, p []byte) error {
	switch id {
	case itemParameters:
		m.block = int64(binary.LittleEndian.Uint32(p))
		if binary.LittleEndian.Uint32(p[4:])&hasParent != 0 {
			return fault.New(fault.Input, errors.New("it is a differencing disk, which holds only what changed in another"),
				"merge it into its parent first: `Merge-VHD` on Hyper-V")
		}
	case itemSize:
		m.size = int64(min(binary.LittleEndian.Uint64(p), 1<<62))
	case itemLogicalSector:
		m.sector = int64(binary.LittleEndian.Uint32(p))
	case itemID, itemPhysicalSector:
	default:
		if flags&requiredItem != 0 {
			return fmt.Errorf("it needs metadata %v, which are not known", id.Mixed())
		}
	}
	return nil
}

func (m metadata) check() error {
	switch {
	case m.size > MaxSize:
		return fmt.Errorf("its size is %d bytes", m.size)
	case m.block < minBlock || m.block > maxBlock || m.block&(m.block-1) != 0:
		return fmt.Errorf("its blocks have %d bytes", m.block)
	case m.sector != 512 && m.sector != 4096:
		return fmt.Errorf("its sectors have %d bytes", m.sector)
	}
	return nil
}
