package vhd

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/internal/blocks"
	"github.com/imgbuild/imgbuild/disk/internal/blocktable"
	"github.com/imgbuild/imgbuild/disk/part"
	"github.com/imgbuild/imgbuild/fault"
)

// Options are the choices of a writer.
type Options struct {
	// Type is Fixed or Dynamic, the default.
	Type Type
	// Created is the time in the footer, of which whole seconds from 2000 on
	// are kept; the zero value stands for 2000-01-01.
	Created time.Time
	// Seed, when given, decides the disk's ID; otherwise the content does.
	Seed []byte
}

// writer is a disk.Sink. Data are written where they belong; the block table
// and the footers follow at the end. Kept in memory is the block table, 2
// bytes for each MiB of the disk.
type writer struct {
	*blocks.Assembler
	w      io.WriterAt
	opts   Options
	foot   footer
	table  []uint32 // of a dynamic disk
	end    int64    // of the file
	id     *blocks.ID
	closed bool
}

// Create returns a sink that writes a disk of size bytes into w, which must be
// empty. The size is rounded up to whole sectors, as the format wants it.
// Close does not close w.
func Create(w io.WriterAt, size int64, opts Options) (disk.Sink, error) {
	if size < 0 || size > MaxSize {
		return nil, fault.New(fault.Usage, fmt.Errorf("creating a VHD: a size of %d bytes is out of range; 2040 GiB are the most", size),
			"VHDX holds up to 64 TiB")
	}
	d := &writer{w: w, opts: opts, id: blocks.NewID()}
	d.foot = footer{header: noOffset, size: uint64(blocktable.DivUp(size, disk.SectorSize) * disk.SectorSize), kind: opts.Type, when: seconds(opts.Created)}
	switch opts.Type {
	case Fixed:
		d.end = int64(d.foot.size)
	case Dynamic, 0:
		d.foot.kind, d.foot.header = Dynamic, headerOffset
		d.table = freeTable(blocktable.DivUp(size, blockSize))
		d.end = tableOffset + blocktable.DivUp(int64(len(d.table))*4, disk.SectorSize)*disk.SectorSize
	default:
		return nil, fmt.Errorf("creating a VHD: type %d is not known", opts.Type)
	}
	d.Assembler = blocks.New(size, unit, d.place)
	return d, nil
}

// freeTable returns a block table of n entries that are all free.
func freeTable(n int64) []uint32 {
	t := make([]uint32, n)
	for i := range t {
		t[i] = freeBlock
	}
	return t
}

// seconds counts from 2000 on; earlier times are 2000 itself.
func seconds(t time.Time) uint32 {
	epoch := time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)
	return uint32(min(max(t.Sub(epoch)/time.Second, 0), 1<<32-1))
}

// place writes what a piece of a block holds.
func (d *writer) place(off int64, piece []byte) error {
	d.id.Add(off, piece)
	home := off
	if d.foot.kind == Dynamic {
		at, err := d.allocate(off / blockSize)
		if err != nil {
			return err
		}
		home = at + off%blockSize
	}
	var err error
	disk.DataRuns(piece, off, func(run disk.Extent) {
		if err == nil {
			_, err = d.w.WriteAt(piece[run.Off-off:][:run.Len], home+run.Off-off)
		}
	})
	return err
}

// allocate returns where the data of a block are in the file; the block is
// made if need be. All its sectors count as written.
func (d *writer) allocate(i int64) (int64, error) {
	const bitmap = blockSize / disk.SectorSize / 8
	if d.table[i] == freeBlock {
		// The data begin at a whole block of filesystems.
		d.end = blocktable.DivUp(d.end+bitmap, disk.BlockSize)*disk.BlockSize - bitmap
		if _, err := d.w.WriteAt(bytes.Repeat([]byte{0xff}, bitmap), d.end); err != nil {
			return 0, err
		}
		d.table[i] = uint32(d.end / disk.SectorSize)
		d.end += bitmap + blockSize
	}
	return int64(d.table[i])*disk.SectorSize + bitmap, nil
}

// Close writes what surrounds the data.
func (d *writer) Close() error {
	err := d.Assembler.Close()
	if d.closed || err != nil {
		return err
	}
	d.closed = true
	id := d.id.Sum(d.opts.Seed)
	d.foot.id = part.GUIDFrom(id[:], "VHD")
	last := d.foot.encode()
	if d.foot.kind == Dynamic {
		head := append(bytes.Clone(last), d.header()...)
		for _, entry := range d.table {
			head = binary.BigEndian.AppendUint32(head, entry)
		}
		head = append(head, bytes.Repeat([]byte{0xff}, -len(head)&(disk.SectorSize-1))...)
		if _, err := d.w.WriteAt(head, 0); err != nil {
			return err
		}
	}
	_, err = d.w.WriteAt(last, d.end)
	return err
}

// header returns the header of a dynamic disk ("Dynamic Disk Header Format").
func (d *writer) header() []byte {
	p := make([]byte, headerSize)
	copy(p, headerMagic)
	binary.BigEndian.PutUint64(p[8:], noOffset)
	binary.BigEndian.PutUint64(p[16:], tableOffset)
	binary.BigEndian.PutUint32(p[24:], version1)
	binary.BigEndian.PutUint32(p[28:], uint32(len(d.table)))
	binary.BigEndian.PutUint32(p[32:], blockSize)
	binary.BigEndian.PutUint32(p[36:], checksum(p, 36))
	return p
}
