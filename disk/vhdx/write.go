package vhdx

import (
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf16"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/internal/blocks"
	"github.com/imgbuild/imgbuild/disk/internal/blocktable"
	"github.com/imgbuild/imgbuild/disk/part"
	"github.com/imgbuild/imgbuild/fault"
)

// Where a writer puts the regions, in bytes.
const (
	logHome      = 1 * mib
	metadataHome = 2 * mib
	tableHome    = 3 * mib
)

const (
	// unit is what is looked at for zeros and hashed at a time, in bytes.
	unit = 64 << 10
	// maxBlocks bounds the block table that a writer keeps in memory.
	maxBlocks = 1 << 20
	creator   = "imgbuild"
)

// Options are the choices of a writer.
type Options struct {
	// Seed, when given, decides the disk's IDs; otherwise the content does.
	Seed []byte
}

// writer is a disk.Sink. Data are written where they belong; what describes
// them follows at the end. Kept in memory is the block table, 8 MiB at most.
type writer struct {
	*blocks.Assembler
	metadata
	w     io.WriterAt
	opts  Options
	table []uint64
	end   int64 // of the file
	// written is the end of what was written.
	written int64
	ids     *blocks.ID
	closed  bool
}

// Create returns a sink that writes a dynamic disk of size bytes into w, which
// must be empty. The size is rounded up to whole sectors, as the format wants
// it. Close does not close w.
func Create(w io.WriterAt, size int64, opts Options) (disk.Sink, error) {
	if size < 0 || size > MaxSize {
		return nil, fault.New(fault.Usage, fmt.Errorf("creating a VHDX: a size of %d bytes is out of range; 64 TiB are the most", size))
	}
	d := &writer{w: w, opts: opts, ids: blocks.NewID()}
	d.metadata = metadata{size: blocktable.DivUp(size, sectorSize) * sectorSize, block: minBlock, sector: sectorSize}
	for d.blocks() > maxBlocks {
		d.block *= 2
	}
	d.table = make([]uint64, d.entries())
	d.end = tableHome + d.tableSize()
	d.Assembler = blocks.New(size, unit, d.place)
	return d, nil
}

// tableSize is that of the region of the block table, in bytes.
func (d *writer) tableSize() int64 { return max(blocktable.DivUp(d.entries()*8, mib), 1) * mib }

// place writes what a piece of a block holds; the block is made if need be.
func (d *writer) place(off int64, piece []byte) error {
	d.ids.Add(off, piece)
	entry := &d.table[d.entry(off/d.block)]
	if *entry == 0 {
		*entry = uint64(d.end/mib)<<offsetShift | blockFullyPresent
		d.end += d.block
	}
	return d.writeData(piece, int64(*entry>>offsetShift)*mib+off%d.block)
}

// writeData writes what p holds of data.
func (d *writer) writeData(p []byte, off int64) error {
	var err error
	disk.DataRuns(p, off, func(run disk.Extent) {
		if err == nil {
			_, err = d.w.WriteAt(p[run.Off-off:][:run.Len], run.Off)
			d.written = max(d.written, run.End())
		}
	})
	return err
}

// Close writes what describes the data.
func (d *writer) Close() error {
	err := d.Assembler.Close()
	if d.closed || err != nil {
		return err
	}
	d.closed = true
	seed := d.ids.Sum(d.opts.Seed)
	id := func(name string) part.GUID { return part.GUIDFrom(seed[:], name).Mixed() }
	d.metadata.id = id("VHDX disk")
	if err := d.writeTable(); err != nil {
		return err
	}
	regions := encodeRegions(region{tableHome, d.tableSize()}, region{metadataHome, mib})
	h := header{fileWrite: id("VHDX file"), dataWrite: id("VHDX data"), logOffset: logHome, logSize: mib}
	next := h
	next.sequence++
	for _, s := range []struct {
		off int64
		p   []byte
	}{
		{0, fileIdentifier()}, {headerOffset, h.encode()}, {2 * headerOffset, next.encode()},
		{regionsOffset, regions}, {regionsOffset + regionsSize, regions}, {metadataHome, d.metadata.encode()},
	} {
		if err := d.writeData(s.p, s.off); err != nil {
			return err
		}
	}
	return d.stretch()
}

// stretch makes the file end where its last block, or its table, does.
func (d *writer) stretch() error {
	if d.written >= d.end {
		return nil
	}
	_, err := d.w.WriteAt([]byte{0}, d.end-1)
	return err
}

// writeTable writes the block table.
func (d *writer) writeTable() error {
	const step = mib / 8
	for i := 0; i < len(d.table); i += step {
		var p []byte
		for _, entry := range d.table[i:min(i+step, len(d.table))] {
			p = binary.LittleEndian.AppendUint64(p, entry)
		}
		if err := d.writeData(p, tableHome+int64(i)*8); err != nil {
			return err
		}
	}
	return nil
}

// fileIdentifier returns the first sector (section 2.2.1): the magic, and the
// name of the program.
func fileIdentifier() []byte {
	p := append(make([]byte, 0, sectorSize), Magic...)
	for _, c := range utf16.Encode([]rune(creator)) {
		p = binary.LittleEndian.AppendUint16(p, c)
	}
	return p
}
