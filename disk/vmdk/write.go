package vmdk

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/internal/blocks"
	"github.com/imgbuild/imgbuild/disk/internal/pipe"
)

// writer is the disk.Sink of a streamOptimized file. The file grows strictly forward, but for the
// descriptor near its beginning, which Close writes: it holds the content ID.
// Kept in memory are the grain directory and one grain table.
type writer struct {
	*blocks.Assembler
	w    io.WriterAt
	opts Options
	head header
	pipe *pipe.Pipe

	sector    int64 // where the file goes on
	directory []uint32
	table     []uint32 // of the region being written
	at        int64    // its index in directory; -1 before the first
	id        *blocks.ID
	buf       []byte
	closed    bool
}

// newStream returns the sink of a streamOptimized file.
func newStream(w io.WriterAt, size int64, opts Options) (disk.Sink, error) {
	h := header{
		version: 3, flags: flagNewLines | flagCompressed | flagMarkers,
		capacity: sectors(size), grain: grainSectors,
		descriptor: descriptorHome, descrSize: descriptorLen, perTable: tableEntries,
		directory: gdAtEnd, overhead: overhead, algorithm: algorithmZlib,
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	d := &writer{w: w, opts: opts, head: h, sector: overhead, at: -1, id: blocks.NewID(),
		directory: make([]uint32, h.tables()), table: make([]uint32, tableEntries)}
	var err error
	if d.pipe, err = pipe.New(newPacker, d.grain); err != nil {
		return nil, err
	}
	d.Assembler = newAssembler(size, d.pipe.Submit)
	return d, nil
}

// newAssembler cuts writes into whole grains; the last is filled up with zeros.
func newAssembler(size int64, emit func(off int64, grain []byte) error) *blocks.Assembler {
	padded := make([]byte, grainSize)
	return blocks.New(size, grainSize, func(off int64, block []byte) error {
		if len(block) < grainSize {
			copy(padded, block)
			block = padded
		}
		return emit(off, block)
	})
}

// sectors rounds a size up to whole sectors.
func sectors(size int64) uint64 {
	return uint64(size)/disk.SectorSize + min(uint64(size)%disk.SectorSize, 1)
}

// append writes p at the end, padded to whole sectors, and returns the sector
// where it begins. Offsets in the file have 32 bits, in sectors.
func (d *writer) append(p []byte) (uint32, error) {
	at := d.sector
	pad := -len(p) & (disk.SectorSize - 1)
	p = append(p, make([]byte, pad)...)
	d.sector += int64(len(p)) / disk.SectorSize
	if d.sector > 1<<32-1 {
		return 0, fmt.Errorf("the file has more than 2 TiB, which the format cannot address")
	}
	_, err := d.w.WriteAt(p, at*disk.SectorSize)
	return uint32(at), err
}

// grain writes a grain behind its marker.
func (d *writer) grain(off int64, block, packed []byte) error {
	if i := off / (tableEntries * grainSize); i != d.at {
		if err := d.flushTable(); err != nil {
			return err
		}
		d.at = i
	}
	d.buf = binary.LittleEndian.AppendUint64(d.buf[:0], uint64(off/disk.SectorSize))
	d.buf = binary.LittleEndian.AppendUint32(d.buf, uint32(len(packed)))
	// The content ID covers what the disk holds, not how it was compressed.
	d.id.Add(off, block)
	d.buf = append(d.buf, packed...)
	at, err := d.append(d.buf)
	d.table[off/grainSize%tableEntries] = at
	return err
}

// flushTable writes the grain table of a region that is complete.
func (d *writer) flushTable() error {
	if d.at < 0 {
		return nil
	}
	at, err := d.metadata(markerTable, encodeWords(d.table))
	d.directory[d.at] = at
	clear(d.table)
	return err
}

// metadata writes a marker and what it announces; it returns the sector of
// the latter.
func (d *writer) metadata(kind uint32, p []byte) (uint32, error) {
	marker := make([]byte, disk.SectorSize)
	binary.LittleEndian.PutUint64(marker, uint64(len(p)+disk.SectorSize-1)/disk.SectorSize)
	binary.LittleEndian.PutUint32(marker[12:], kind)
	at, err := d.append(append(marker, p...))
	return at + 1, err
}

func encodeWords(words []uint32) []byte {
	p := make([]byte, 0, len(words)*4)
	for _, w := range words {
		p = binary.LittleEndian.AppendUint32(p, w)
	}
	return p
}

// Close writes the last table, the directory, the footer and the end marker,
// then header and descriptor.
func (d *writer) Close() error {
	err := d.Assembler.Close()
	if d.closed {
		return err
	}
	d.closed = true
	if e := d.pipe.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return d.finish()
}

func (d *writer) finish() error {
	if err := d.flushTable(); err != nil {
		return err
	}
	at, err := d.metadata(markerDirectory, encodeWords(d.directory))
	if err != nil {
		return err
	}
	footer := d.head
	footer.directory = uint64(at)
	if _, err := d.metadata(markerFooter, footer.encode()); err != nil {
		return err
	}
	if _, err := d.metadata(markerEnd, nil); err != nil {
		return err
	}
	text, err := embed(StreamOptimized, int64(d.head.capacity), contentID(d.id, d.opts), d.opts.Name)
	if err != nil {
		return err
	}
	head := make([]byte, overhead*disk.SectorSize)
	copy(head, d.head.encode())
	copy(head[descriptorHome*disk.SectorSize:], text)
	_, err = d.w.WriteAt(head, 0)
	return err
}

// contentID returns the long content ID. Its last four bytes are the CID, of
// which the two largest values mean "none".
func contentID(ids *blocks.ID, opts Options) [16]byte {
	id := ids.Sum(opts.Seed)
	id[12] &= 0x7f
	return id
}
