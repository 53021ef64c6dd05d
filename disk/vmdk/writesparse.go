package vmdk

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/internal/blocks"
)

// sparseWriter writes a sparse extent that is not compressed. Room for the
// tables, twice, lies before the grains ("Hosted Sparse Extents"); those
// without entries stay holes. Kept in memory is one grain table.
type sparseWriter struct {
	w     io.WriterAt
	head  header
	next  int64 // the sector where the next grain goes
	table []uint32
	at    int64 // index of table; -1 before the first
}

// tableSectors is the size of a grain table.
const tableSectors = tableEntries * 4 / disk.SectorSize

// newSparse lays an extent out. descriptor says whether it has room for one.
func newSparse(w io.WriterAt, capacity uint64, descriptor bool) (*sparseWriter, error) {
	h := header{version: 1, flags: flagNewLines | flagRedundant, capacity: capacity, grain: grainSectors, perTable: tableEntries}
	if err := h.check(); err != nil {
		return nil, err
	}
	home := uint64(descriptorHome)
	if descriptor {
		h.descriptor, h.descrSize = descriptorHome, descriptorLen
		home += descriptorLen
	}
	h.redundant = home
	h.directory = home + uint64(directorySectors(h)+h.tables()*tableSectors)
	first := int64(h.directory) + directorySectors(h) + h.tables()*tableSectors
	h.overhead = uint64((first + grainSectors - 1) / grainSectors * grainSectors)
	return &sparseWriter{w: w, head: h, next: int64(h.overhead), table: make([]uint32, tableEntries), at: -1}, nil
}

// directorySectors is the size of a grain directory.
func directorySectors(h header) int64 { return (h.tables()*4 + disk.SectorSize - 1) / disk.SectorSize }

// grain writes a grain. Offsets are in the extent, and ascend.
func (s *sparseWriter) grain(off int64, block []byte) error {
	if i := off / (tableEntries * grainSize); i != s.at {
		if err := s.flush(); err != nil {
			return err
		}
		s.at = i
	}
	if s.next > 1<<32-1-grainSectors {
		return errors.New("the file has more than 2 TiB, which the format cannot address")
	}
	s.table[off/grainSize%tableEntries] = uint32(s.next)
	_, err := s.w.WriteAt(block, s.next*disk.SectorSize)
	s.next += grainSectors
	return err
}

// flush writes the grain table of a region that is complete, twice.
func (s *sparseWriter) flush() error {
	if s.at < 0 {
		return nil
	}
	p := encodeWords(s.table)
	clear(s.table)
	for _, directory := range []uint64{s.head.redundant, s.head.directory} {
		at := int64(directory) + directorySectors(s.head) + s.at*tableSectors
		if _, err := s.w.WriteAt(p, at*disk.SectorSize); err != nil {
			return err
		}
	}
	return nil
}

// finish writes the last table, the directories and, last, the header. The
// file ends with a whole grain.
func (s *sparseWriter) finish() error {
	if err := s.flush(); err != nil {
		return err
	}
	for _, directory := range []uint64{s.head.redundant, s.head.directory} {
		var p []byte
		for i := range s.head.tables() {
			p = binary.LittleEndian.AppendUint32(p, uint32(int64(directory)+directorySectors(s.head)+i*tableSectors))
		}
		if _, err := s.w.WriteAt(p, int64(directory)*disk.SectorSize); err != nil {
			return err
		}
	}
	if s.next == int64(s.head.overhead) { // without a grain
		if _, err := s.w.WriteAt([]byte{0}, s.next*disk.SectorSize-1); err != nil {
			return err
		}
	}
	_, err := s.w.WriteAt(s.head.encode(), 0)
	return err
}

// monolithic is the disk.Sink of a monolithicSparse file.
type monolithic struct {
	*blocks.Assembler
	*sparseWriter
	opts   Options
	id     *blocks.ID
	closed bool
}

func newMonolithic(w io.WriterAt, size int64, opts Options) (disk.Sink, error) {
	s, err := newSparse(w, sectors(size), true)
	if err != nil {
		return nil, err
	}
	m := &monolithic{sparseWriter: s, opts: opts, id: blocks.NewID()}
	m.Assembler = newAssembler(size, func(off int64, grain []byte) error {
		m.id.Add(off, grain)
		return s.grain(off, grain)
	})
	return m, nil
}

// Close implements disk.Sink.
func (m *monolithic) Close() error {
	err := m.Assembler.Close()
	if m.closed || err != nil {
		return err
	}
	m.closed = true
	text, err := embed(m.opts.Type, int64(m.head.capacity), contentID(m.id, m.opts), m.opts.Name)
	if err != nil {
		return err
	}
	if _, err := m.w.WriteAt([]byte(text), descriptorHome*disk.SectorSize); err != nil {
		return err
	}
	return m.finish()
}
