package qcow2

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/internal/blocks"
	"github.com/imgbuild/imgbuild/disk/internal/pipe"
)

const (
	clusterBits = 16
	clusterSize = 1 << clusterBits
	l2Entries   = clusterSize / 8
	// l1Span is the number of bytes that an L2 table stands for.
	l1Span = l2Entries * clusterSize
	// sectorShift is where the number of sectors begins in the descriptor of
	// a compressed cluster.
	sectorShift = 62 - (clusterBits - 8)
	// deflateLevel is where a higher level costs much and gains little.
	deflateLevel = 6
)

// Options are the choices of a writer.
type Options struct {
	Compression Compression
}

// writer is a disk.Sink. Clusters are written as they come; an L2 table
// follows the data it points to. Kept in memory are the L1 table, one L2
// table, and two bytes for each 64 KiB of the file.
type writer struct {
	*blocks.Assembler
	w    io.WriterAt
	opts Options
	size int64
	pipe *pipe.Pipe // nil when nothing is compressed

	l1   []uint64
	l2   []uint64 // of the region being written
	at   int64    // its index in l1; -1 before the first
	refs []uint16 // of each cluster of the file
	// next and left are where compressed data may go on: the offset, and the
	// bytes left in that cluster.
	next, left int64
	closed     bool
}

// Create returns a sink that writes an image of size bytes into w, which must
// be empty. The size is rounded up to whole sectors, as the format wants it.
// Close does not close w.
func Create(w io.WriterAt, size int64, opts Options) (disk.Sink, error) {
	entries := divUp(size, l1Span)
	if size < 0 || entries*8 > maxL1Bytes {
		return nil, fmt.Errorf("creating a qcow2 image: a size of %d bytes is out of range", size)
	}
	d := &writer{w: w, opts: opts, size: size, l1: make([]uint64, entries), l2: make([]uint64, l2Entries), at: -1}
	emit := d.plain
	switch opts.Compression {
	case None:
	case Deflate, Zstd:
		var err error
		if d.pipe, err = pipe.New(opts.Compression.packer, d.packed); err != nil {
			return nil, fmt.Errorf("creating a qcow2 image: %w", err)
		}
		emit = d.pipe.Submit
	default:
		return nil, fmt.Errorf("creating a qcow2 image: unknown compression %d", opts.Compression)
	}
	padded := make([]byte, clusterSize)
	d.Assembler = blocks.New(size, clusterSize, func(off int64, block []byte) error {
		if len(block) < clusterSize { // the last of the disk
			copy(padded, block)
			block = padded
		}
		return emit(off, block)
	})
	d.alloc() // the header
	return d, nil
}

// alloc takes a fresh cluster at the end of the file.
func (d *writer) alloc() int64 {
	d.refs = append(d.refs, 1)
	return int64(len(d.refs)-1) * clusterSize
}

// slot returns the L2 entry for an offset of the disk. It writes the table of
// the region before.
func (d *writer) slot(off int64) (*uint64, error) {
	if i := off / l1Span; i != d.at {
		if err := d.flushL2(); err != nil {
			return nil, err
		}
		d.at = i
	}
	return &d.l2[off%l1Span/clusterSize], nil
}

func (d *writer) flushL2() error {
	if d.at < 0 {
		return nil
	}
	at := d.alloc()
	d.l1[d.at] = uint64(at) | flagCopied
	err := d.writeTable(d.l2, at)
	clear(d.l2)
	return err
}

// writeTable writes 64-bit words, padded to whole clusters.
func (d *writer) writeTable(table []uint64, at int64) error {
	p := make([]byte, divUp(int64(len(table))*8, clusterSize)*clusterSize)
	for i, v := range table {
		binary.BigEndian.PutUint64(p[i*8:], v)
	}
	_, err := d.w.WriteAt(p, at)
	return err
}

// plain writes a cluster as it is.
func (d *writer) plain(off int64, block []byte) error {
	entry, err := d.slot(off)
	if err != nil {
		return err
	}
	at := d.alloc()
	*entry = uint64(at) | flagCopied
	_, err = d.w.WriteAt(block, at)
	return err
}

// packed writes a compressed cluster right behind the one before. It may
// straddle the border to the next cluster of the file only when that is the
// next one to be taken.
func (d *writer) packed(off int64, block, p []byte) error {
	n := int64(len(p))
	if n >= clusterSize {
		return d.plain(off, block)
	}
	entry, err := d.slot(off)
	if err != nil {
		return err
	}
	end := int64(len(d.refs)) * clusterSize
	switch {
	case n <= d.left:
		d.refs[d.next/clusterSize]++
	case d.left > 0 && d.next+d.left == end:
		d.refs[d.next/clusterSize]++
		d.alloc()
		d.left += clusterSize
	default:
		d.next, d.left = d.alloc(), clusterSize
	}
	sectors := (d.next%disk.SectorSize + n - 1) / disk.SectorSize
	*entry = flagCompressed | uint64(sectors)<<sectorShift | uint64(d.next)
	_, err = d.w.WriteAt(p, d.next)
	d.next, d.left = d.next+n, d.left-n
	return err
}

// Close writes what is left of the tables and, last, the header.
func (d *writer) Close() error {
	err := d.Assembler.Close()
	if d.closed {
		return err
	}
	d.closed = true
	if d.pipe != nil {
		if e := d.pipe.Close(); err == nil {
			err = e
		}
	}
	if err != nil {
		return err
	}
	return d.finish()
}

func (d *writer) finish() error {
	if err := d.flushL2(); err != nil {
		return err
	}
	var l1 int64 // an empty disk has no table
	for i := range divUp(int64(len(d.l1)), l2Entries) {
		if at := d.alloc(); i == 0 {
			l1 = at
		}
	}
	if l1 != 0 {
		if err := d.writeTable(d.l1, l1); err != nil {
			return err
		}
	}
	table, clusters, err := d.writeRefcounts()
	if err != nil {
		return err
	}
	_, err = d.w.WriteAt(d.header(l1, table, clusters), 0)
	return err
}

// writeRefcounts writes the refcount blocks and their table, which count
// themselves, and returns where the table is.
func (d *writer) writeRefcounts() (table int64, tableClusters int, err error) {
	const perBlock = clusterSize / 2
	blocks, used := 0, len(d.refs)
	for {
		total := used + blocks + tableClusters
		b := (total + perBlock - 1) / perBlock
		t := (b + l2Entries - 1) / l2Entries
		if b == blocks && t == tableClusters {
			break
		}
		blocks, tableClusters = b, t
	}
	first := int64(used) * clusterSize
	for range blocks + tableClusters {
		d.alloc()
	}
	p := make([]byte, clusterSize)
	entries := make([]uint64, blocks)
	for i := range blocks {
		clear(p)
		for j, refs := range d.refs[i*perBlock : min((i+1)*perBlock, len(d.refs))] {
			binary.BigEndian.PutUint16(p[j*2:], refs)
		}
		at := first + int64(i)*clusterSize
		entries[i] = uint64(at)
		if _, err := d.w.WriteAt(p, at); err != nil {
			return 0, 0, err
		}
	}
	table = first + int64(blocks)*clusterSize
	return table, tableClusters, d.writeTable(entries, table)
}

// header returns the first cluster; no header extensions follow.
func (d *writer) header(l1, refTable int64, refClusters int) []byte {
	p := make([]byte, clusterSize)
	copy(p, Magic)
	size := divUp(d.size, disk.SectorSize) * disk.SectorSize
	for off, v := range map[int]uint32{
		offVersion: 3, offClusterBits: clusterBits, offL1Size: uint32(len(d.l1)),
		offRefTableSize: uint32(refClusters), offRefcountOrder: 4, offHeaderLength: headerV3,
	} {
		binary.BigEndian.PutUint32(p[off:], v)
	}
	for off, v := range map[int]int64{offSize: size, offL1Offset: l1, offRefTableOffset: refTable} {
		binary.BigEndian.PutUint64(p[off:], uint64(v))
	}
	if d.opts.Compression == Zstd {
		binary.BigEndian.PutUint64(p[offIncompatible:], featureCompression)
		p[offCompression] = byte(Zstd - Deflate)
	}
	return p
}
