package vmdk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/internal/lru"
)

const (
	cachedTables = 16
	cachedGrains = 4
)

// reader is a disk.Reader.
type reader struct {
	header
	r         io.ReaderAt
	n         int64
	size      int64
	directory []uint32
	tables    *lru.Cache[[]uint32]
	grains    *lru.Cache[[]byte]
}

// Open reads the disk in the n bytes of r. It keeps the grain directory in
// memory, 4 bytes for each 32 MiB of a disk with grains of the usual size.
func Open(r io.ReaderAt, n int64) (disk.Reader, error) {
	d, err := open(r, n)
	if err != nil {
		return nil, fmt.Errorf("opening a VMDK: %w", err)
	}
	return d, nil
}

func open(r io.ReaderAt, n int64) (*reader, error) {
	d := &reader{r: r, n: n, tables: lru.New[[]uint32](cachedTables), grains: lru.New[[]byte](cachedGrains)}
	p, err := d.sectors(0, min(n, headerSize))
	if err == nil && len(p) < headerSize && !bytes.HasPrefix(p, []byte(DescriptorMagic)) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("reading the header: %w", err)
	}
	if bytes.HasPrefix(p, []byte(DescriptorMagic)) {
		return nil, refuse("it is a descriptor that names other files")
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
	if err := d.readDescriptor(); err != nil {
		return nil, err
	}
	if d.directory, err = d.words(d.header.directory, d.header.tables()); err != nil {
		return nil, fmt.Errorf("reading the grain directory: %w", err)
	}
	return d, nil
}

// readDescriptor checks the embedded descriptor. It may be missing or blank:
// then the file belongs to one that names others.
func (d *reader) readDescriptor() error {
	if d.descrSize > maxDescriptor/disk.SectorSize {
		return fmt.Errorf("its descriptor has %d sectors", d.descrSize)
	}
	p, err := d.sectors(int64(min(d.descriptor, maxCapacity)), int64(d.descrSize)*disk.SectorSize)
	if err != nil {
		return fmt.Errorf("reading the descriptor: %w", err)
	}
	if d.descriptor == 0 || disk.IsZero(p) {
		return refuse("it has no descriptor: it is a part of a larger disk")
	}
	return checkDescriptor(string(p))
}

// sectors reads n bytes that begin at a sector.
func (d *reader) sectors(sector, n int64) ([]byte, error) {
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
func (d *reader) words(sector uint64, n int64) ([]uint32, error) {
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
func (d *reader) table(off int64) ([]uint32, error) {
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

// grain returns the sector of the grain for an offset, or 0 for a hole.
func (d *reader) grain(table []uint32, off int64) uint32 {
	at := table[off%d.span()/d.grainBytes()]
	if at == 1 && d.flags&flagZeroGrains != 0 {
		return 0
	}
	return at
}

func (d *reader) Size() int64 { return d.size }

func (d *reader) NextData(off int64) (disk.Extent, error) {
	if off < 0 {
		return disk.Extent{}, io.EOF
	}
	var run disk.Extent
	for off < d.size {
		table, err := d.table(off)
		if err != nil {
			return disk.Extent{}, err
		}
		end := min(off-off%d.span()+d.span(), d.size)
		if table == nil {
			off = end
		}
		for off < end {
			next := min(off-off%d.grainBytes()+d.grainBytes(), end)
			data := d.grain(table, off) != 0
			if !data && run.Len > 0 {
				return run, nil
			}
			if data && run.Len == 0 {
				run.Off = off
			}
			if data {
				run.Len = next - run.Off
			}
			off = next
		}
		if run.Len > 0 {
			return run, nil
		}
	}
	return disk.Extent{}, io.EOF
}

func (d *reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("reading at a negative offset")
	}
	if off >= d.size {
		return 0, io.EOF
	}
	var eof error
	if int64(len(p)) > d.size-off {
		p, eof = p[:d.size-off], io.EOF
	}
	for done := 0; done < len(p); {
		n, err := d.readRun(p[done:], off+int64(done))
		if err != nil {
			return done, fmt.Errorf("reading VMDK byte %d: %w", off+int64(done), err)
		}
		done += n
	}
	return len(p), eof
}

// readRun reads up to the end of the grain, or of the hole that an entry of
// the directory stands for.
func (d *reader) readRun(p []byte, off int64) (int, error) {
	table, err := d.table(off)
	if err != nil {
		return 0, err
	}
	if table == nil {
		n := min(d.span()-off%d.span(), int64(len(p)))
		clear(p[:n])
		return int(n), nil
	}
	inner := off % d.grainBytes()
	p = p[:min(d.grainBytes()-inner, int64(len(p)))]
	at := int64(d.grain(table, off))
	if at == 0 {
		clear(p)
		return len(p), nil
	}
	if d.flags&flagCompressed == 0 {
		return len(p), d.readPlain(p, at*disk.SectorSize+inner)
	}
	grain, err := d.grains.Get(at, func() ([]byte, error) { return d.unpack(at, (off-inner)/disk.SectorSize) })
	if err != nil {
		return 0, err
	}
	copy(p, grain[inner:])
	return len(p), nil
}

// readPlain reads from a grain that is not compressed. The last one of the
// file may be cut short: what is missing reads as zero.
func (d *reader) readPlain(p []byte, at int64) error {
	if at-at%d.grainBytes() >= d.n {
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
func (d *reader) unpack(sector, lba int64) ([]byte, error) {
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
