package vhdx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/internal/blocktable"
	"github.com/imgbuild/imgbuild/disk/internal/layer"
)

// Open reads the disk in the n bytes of r. Memory does not grow with it: the
// block table is read in pages.
func Open(r io.ReaderAt, n int64) (disk.Reader, error) {
	d, err := open(r, n)
	if err != nil {
		return nil, fmt.Errorf("opening a VHDX: %w", err)
	}
	return d, nil
}

func open(r io.ReaderAt, n int64) (disk.Reader, error) {
	if n < mib {
		return nil, errors.New("it is cut short: it has less than 1 MiB")
	}
	p, err := blocktable.Read(r, 0, mib)
	if err != nil {
		return nil, fmt.Errorf("reading the headers: %w", err)
	}
	if string(p[:len(Magic)]) != Magic {
		return nil, errors.New("it has no VHDX magic")
	}
	h, err := currentHeader(p)
	if err != nil {
		return nil, err
	}
	if !h.log.IsZero() {
		if r, n, err = replay(r, n, h); err != nil {
			return nil, fmt.Errorf("replaying its log: %w", err)
		}
	}
	table, about, err := decodeRegions(p[regionsOffset:][:regionsSize], n)
	if err != nil {
		var e error
		if table, about, e = decodeRegions(p[regionsOffset+regionsSize:][:regionsSize], n); e != nil {
			return nil, err
		}
	}
	d := &reader{r: r, n: n}
	if d.metadata, err = readMetadata(r, about); err != nil {
		return nil, err
	}
	if d.entries()*8 > table.size {
		return nil, fmt.Errorf("its block table of %d bytes is too small for a disk of %d bytes", table.size, d.size)
	}
	d.table = blocktable.NewTable(r, table.off, d.entries(), 8, binary.LittleEndian.Uint64)
	return layer.Reader("VHDX", d, nil), nil
}

// currentHeader returns the valid header with the higher sequence number
// (section 2.2.2).
func currentHeader(p []byte) (header, error) {
	a, okA := decodeHeader(p[headerOffset:][:headerSize])
	b, okB := decodeHeader(p[2*headerOffset:][:headerSize])
	switch {
	case !okA && !okB:
		return header{}, errors.New("both its headers are damaged")
	case !okA || okB && b.sequence > a.sequence:
		return b, nil
	}
	return a, nil
}

// reader is the layer of a disk without a parent.
type reader struct {
	metadata
	r     io.ReaderAt
	n     int64
	table *blocktable.Table[uint64]
}

func (d *reader) Size() int64 { return d.size }

// lookup returns the entry of a payload block.
func (d *reader) lookup(block int64) (uint64, error) {
	t, err := d.table.From(d.entry(block))
	if err != nil {
		return 0, err
	}
	return t[0], nil
}

// maxLook bounds how many blocks Find looks at for the end of a run.
const maxLook = 1 << 16

// Find implements layer.Layer.
func (d *reader) Find(off int64) (layer.Kind, int64, error) {
	block := off / d.block
	entry, err := d.lookup(block)
	if err != nil {
		return 0, 0, err
	}
	n := d.block - off%d.block
	switch entry & stateMask {
	case blockFullyPresent:
		at := int64(entry>>offsetShift) * mib
		if at < mib || at > d.n-min(d.block, d.size-block*d.block) {
			return 0, 0, fmt.Errorf("its block is said to be at %d, in a file of %d bytes", at, d.n)
		}
		return layer.InFile(d.r, at+off%d.block, n)
	case blockNotPresent, blockUndefined, blockZero, blockUnmapped:
	case blockPartlyPresent:
		return 0, 0, errors.New("its block is said to be a part of one, in a disk without parent")
	default:
		return 0, 0, fmt.Errorf("its block has state %d", entry&stateMask)
	}
	for i := block + 1; i < d.blocks() && i < block+maxLook; i++ {
		next, err := d.lookup(i)
		if err != nil {
			return 0, 0, err
		}
		if next&stateMask > blockUnmapped {
			break
		}
		n += d.block
	}
	return layer.Zero, n, nil
}

// ReadData implements layer.Layer.
func (d *reader) ReadData(p []byte, off int64) error {
	entry, err := d.lookup(off / d.block)
	if err != nil {
		return err
	}
	n, err := d.r.ReadAt(p, int64(entry>>offsetShift)*mib+off%d.block)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
