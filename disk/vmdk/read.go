package vmdk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/internal/layer"
	"github.com/imgbuild/imgbuild/disk/internal/lru"
)

const (
	cachedTables = 16
	cachedGrains = 4
)

// sparse is a sparse extent.
type sparse struct {
	header
	r         io.ReaderAt
	n         int64
	size      int64
	directory []uint32
	tables    *lru.Cache[[]uint32]
	grains    *lru.Cache[[]byte]
}

func openSparse(r io.ReaderAt, n int64) (*sparse, error) {
	d := &sparse{r: r, n: n, tables: lru.New[[]uint32](cachedTables), grains: lru.New[[]byte](cachedGrains)}
	p, err := d.sectors(0, headerSize)
	if err != nil {
		return nil, fmt.Errorf("reading the header: %w", err)
	}
	if d.header, err = decodeHeader(p); err != nil {
		return nil, err
	}
	// "GD_AT_END": the true header is the footer, before the last marker.
	if d.header.directory == gdAtEnd {
		if n < 2*headerSize {
			return nil, errors.New("it has no room for a footer")
		}
		if p, err = d.sectors((n-2*headerSize)/disk.SectorSize, headerSize); err != nil {
			return nil, fmt.Errorf("reading the footer: %w", err)
		}
		if d.header, err = decodeHeader(p); err != nil {
			return nil, fmt.Errorf("reading the footer: %w", err)
		}
	}
	d.size = int64(d.capacity) * disk.SectorSize
	if d.directory, err = d.words(d.header.directory, d.header.tables()); err != nil {
		return nil, fmt.Errorf("reading the grain directory: %w", err)
	}
	return d, nil
}

// readDescriptor reads the embedded descriptor. It may be missing or blank:
// then the file belongs to one that names others.
func (d *sparse) readDescriptor() (description, error) {
	if d.descrSize > maxDescriptor/disk.SectorSize {
		return description{}, fmt.Errorf("its descriptor has %d sectors", d.descrSize)
	}
	p, err := d.sectors(int64(min(d.descriptor, maxCapacity)), int64(d.descrSize)*disk.SectorSize)
	if err != nil {
		return description{}, fmt.Errorf("reading the descriptor: %w", err)
	}
	if d.descriptor == 0 || disk.IsZero(p) {
		return description{}, refuse("it has no descriptor: it is a part of a larger disk")
	}
	return parseDescriptor(string(p))
}

// sectors reads n bytes that begin at a sector.
func (d *sparse) sectors(sector, n int64) ([]byte, error) {
	off := sector * disk.SectorSize
	if sector < 0 || off > d.n || n > d.n-off {
		return nil, fmt.Errorf("%d bytes in sector %d lie beyond the file of %d bytes", n, sector, d.n)
	}
	p := make([]byte, n)
	if got, err := d.r.ReadAt(p, off); int64(got) < n {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return p, nil
}

// words reads a table of 32-bit words.
func (d *sparse) words(sector uint64, n int64) ([]uint32, error) {
	p, err := d.sectors(int64(min(sector, maxCapacity)), n*4)
	if err != nil {
		return nil, err
	}
	t := make([]uint32, n)
	for i := range t {
		t[i] = binary.LittleEndian.Uint32(p[i*4:])
	}
	return t, nil
}

// table returns the grain table for an offset of the disk, or nil when there
// is none.
func (d *sparse) table(off int64) ([]uint32, error) {
	at := d.directory[off/d.span()]
	if at == 0 {
		return nil, nil
	}
	return d.tables.Get(int64(at), func() ([]uint32, error) {
		t, err := d.words(uint64(at), int64(d.perTable))
		if err != nil {
			return nil, fmt.Errorf("reading the grain table: %w", err)
		}
		return t, nil
	})
}

// kind tells what is behind an entry of a grain table.
func (d *sparse) kind(entry uint32) layer.Kind {
	switch {
	case entry == 0:
		return layer.Absent
	case entry == 1 && d.flags&flagZeroGrains != 0:
		return layer.Zero
	}
	return layer.Data
}

func (d *sparse) Size() int64 { return d.size }

// Find implements layer.Layer.
func (d *sparse) Find(off int64) (layer.Kind, int64, error) {
	table, err := d.table(off)
	if err != nil {
		return 0, 0, err
	}
	end := min(off-off%d.span()+d.span(), d.size)
	if table == nil {
		return layer.Absent, end - off, nil
	}
	i := off % d.span() / d.grainBytes()
	kind, n := d.kind(table[i]), d.grainBytes()-off%d.grainBytes()
	for i++; kind != layer.Data && off+n < end && d.kind(table[i]) == kind; i++ {
		n += d.grainBytes()
	}
	return kind, n, nil
}

// ReadData implements layer.Layer.
func (d *sparse) ReadData(p []byte, off int64) error {
	table, err := d.table(off)
	if err != nil {
		return err
	}
	at, inner := int64(table[off%d.span()/d.grainBytes()]), off%d.grainBytes()
	if d.flags&flagCompressed == 0 {
		return d.readPlain(p, at*disk.SectorSize+inner, inner)
	}
	grain, err := d.grains.Get(at, func() ([]byte, error) { return d.unpack(at, (off-inner)/disk.SectorSize) })
	if err == nil {
		copy(p, grain[inner:])
	}
	return err
}

// readPlain reads from a grain that is not compressed. The last one of the
// file may be cut short: what is missing reads as zero.
func (d *sparse) readPlain(p []byte, at, inner int64) error {
	if at-inner >= d.n {
		return fmt.Errorf("its grain is said to be at %d, in a file of %d bytes", at, d.n)
	}
	n, err := d.r.ReadAt(p, at)
	clear(p[n:])
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// unpack reads the compressed grain in a sector of the file, which must be the
// one for sector lba of the disk.
func (d *sparse) unpack(sector, lba int64) ([]byte, error) {
	marker, err := d.sectors(sector, grainMarker)
	if err != nil {
		return nil, fmt.Errorf("reading the marker of a grain: %w", err)
	}
	if got := binary.LittleEndian.Uint64(marker); got != uint64(lba) {
		return nil, fmt.Errorf("the grain in sector %d is for sector %d, not %d", sector, got, lba)
	}
	length := int64(binary.LittleEndian.Uint32(marker[8:]))
	if length > 2*d.grainBytes() {
		return nil, fmt.Errorf("the grain in sector %d has %d bytes", sector, length)
	}
	p, err := d.sectors(sector, grainMarker+length)
	if err != nil {
		return nil, fmt.Errorf("reading a grain: %w", err)
	}
	z, err := zlib.NewReader(bytes.NewReader(p[grainMarker:]))
	if err != nil {
		return nil, fmt.Errorf("decompressing the grain in sector %d: %w", sector, err)
	}
	// The last grain of a disk may be short.
	grain := make([]byte, d.grainBytes())
	n, err := io.ReadFull(z, grain)
	if want := min(d.grainBytes(), d.size-lba*disk.SectorSize); int64(n) < want {
		return nil, fmt.Errorf("decompressing the grain in sector %d: %d bytes of %d: %w", sector, n, want, err)
	}
	return grain, nil
}
