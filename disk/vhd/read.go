package vhd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/internal/blocktable"
	"github.com/imgbuild/imgbuild/disk/internal/layer"
	"github.com/imgbuild/imgbuild/disk/raw"
)

// minBlock and maxBlock bound the blocks of a dynamic disk, in bytes.
const (
	minBlock = 4 << 10
	maxBlock = 256 << 20
)

// IsFixed reports whether the last sector of a file is the footer of a fixed
// disk: nothing at its beginning tells it from a raw image.
func IsFixed(last []byte) bool {
	if len(last) != FooterSize {
		return false
	}
	f, err := decodeFooter(last)
	return err == nil && f.kind == Fixed
}

// Open reads the disk in the n bytes of r. Memory does not grow with it: the
// block table is read in pages.
func Open(r io.ReaderAt, n int64) (disk.Reader, error) {
	d, err := open(r, n)
	if err != nil {
		return nil, fmt.Errorf("opening a VHD: %w", err)
	}
	return d, nil
}

func open(r io.ReaderAt, n int64) (disk.Reader, error) {
	if n < FooterSize {
		return nil, errors.New("it has no room for a footer")
	}
	f, err := readFooter(r, n-FooterSize)
	if err != nil {
		// "The hard disk footer is duplicated at the beginning."
		first, e := readFooter(r, 0)
		if e != nil || first.kind == Fixed {
			return nil, err
		}
		f = first
	}
	if f.kind == Fixed {
		if int64(f.size) > n-FooterSize {
			return nil, fmt.Errorf("it is cut short: it has %d bytes of %d", n-FooterSize, f.size)
		}
		if d, ok := r.(disk.Reader); ok { // its holes are known
			return disk.Section(d, 0, int64(f.size)), nil
		}
		return raw.Open(r, int64(f.size))
	}
	return openDynamic(r, n, f)
}

func readFooter(r io.ReaderAt, off int64) (footer, error) {
	p, err := blocktable.Read(r, off, FooterSize)
	if err != nil {
		return footer{}, fmt.Errorf("reading the footer: %w", err)
	}
	return decodeFooter(p)
}

// dynamic is a dynamic disk ("Dynamic Disk Header Format").
type dynamic struct {
	r     io.ReaderAt
	n     int64
	size  int64
	block int64
	table *blocktable.Table[uint32]
}

func openDynamic(r io.ReaderAt, n int64, f footer) (disk.Reader, error) {
	if f.header > uint64(n) {
		return nil, fmt.Errorf("its header is said to be at %d, in a file of %d bytes", f.header, n)
	}
	p, err := blocktable.Read(r, int64(f.header), headerSize)
	if err != nil {
		return nil, fmt.Errorf("reading the header: %w", err)
	}
	if string(p[:8]) != headerMagic {
		return nil, errors.New("it has no header of a dynamic disk")
	}
	if got, want := binary.BigEndian.Uint32(p[36:]), checksum(p, 36); got != want {
		return nil, fmt.Errorf("the checksum of its header is %#x, not %#x", got, want)
	}
	table, entries, block := binary.BigEndian.Uint64(p[16:]), binary.BigEndian.Uint32(p[28:]), binary.BigEndian.Uint32(p[32:])
	d := &dynamic{r: r, n: n, size: int64(f.size), block: int64(block)}
	switch {
	case block < minBlock || block > maxBlock || block&(block-1) != 0:
		return nil, fmt.Errorf("its blocks have %d bytes", block)
	case int64(entries) < blocktable.DivUp(d.size, d.block):
		return nil, fmt.Errorf("its block table of %d entries is too small for %d bytes", entries, d.size)
	case table > uint64(n) || int64(entries)*4 > n-int64(table):
		return nil, fmt.Errorf("its block table, %d entries at %d, lies beyond the file of %d bytes", entries, table, n)
	}
	d.table = blocktable.NewTable(r, int64(table), blocktable.DivUp(d.size, d.block), 4, binary.BigEndian.Uint32)
	return layer.Reader("VHD", d, nil), nil
}

func (d *dynamic) Size() int64 { return d.size }

// home returns where the data of a block are in the file, behind its bitmap: a
// bit for each sector, padded to whole sectors.
func (d *dynamic) home(entry uint32) int64 {
	bitmap := blocktable.DivUp(d.block/disk.SectorSize/8, disk.SectorSize) * disk.SectorSize
	return int64(entry)*disk.SectorSize + bitmap
}

// Find implements layer.Layer. The bitmap of a block tells which sectors were
// written; those of a dynamic disk that were not hold zeros all the same.
func (d *dynamic) Find(off int64) (layer.Kind, int64, error) {
	i := off / d.block
	t, err := d.table.From(i)
	if err != nil {
		return 0, 0, err
	}
	n := d.block - off%d.block
	if t[0] != freeBlock {
		at := d.home(t[0])
		if at >= d.n {
			return 0, 0, fmt.Errorf("its block is said to be at %d, in a file of %d bytes", at, d.n)
		}
		return layer.InFile(d.r, at+off%d.block, n)
	}
	for _, entry := range t[1:] {
		if entry != freeBlock {
			break
		}
		n += d.block
	}
	return layer.Zero, n, nil
}

// ReadData implements layer.Layer. The last block of the file may be cut
// short: what is missing reads as zero.
func (d *dynamic) ReadData(p []byte, off int64) error {
	i := off / d.block
	t, err := d.table.From(i)
	if err != nil {
		return err
	}
	n, err := d.r.ReadAt(p, d.home(t[0])+off%d.block)
	clear(p[n:])
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
