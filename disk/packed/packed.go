// Package packed reads and writes disks as compressed streams: a raw image, or
// any other, in an .xz, .zst or .gz file.
//
// The writer compresses blocks on all cores. What is zero is compressed once,
// however long it is. The streams are what the usual programs read, and more:
// .xz is one stream of many blocks, which `xz -T` unpacks on all cores, .zst
// is many frames with a table to seek by, .gz is one member. The file is a
// function of the content.
//
// A compressed stream cannot be read here and there, so the reader unpacks it
// into a sparse file that has no name: it takes the space of the disk's data
// below the folder for temporary files.
package packed

import (
	"bytes"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/internal/blocks"
	"github.com/imgbuild/imgbuild/disk/internal/pipe"
)

// Kind is a way to compress, as file suffixes call it.
type Kind string

// The kinds.
const (
	XZ   Kind = "xz"
	Zstd Kind = "zst"
	Gzip Kind = "gz"
)

// Kinds returns all kinds.
func Kinds() []Kind { return []Kind{XZ, Zstd, Gzip} }

// sniffed is how long the longest magic is, in bytes.
const sniffed = 6

// KindOf tells how a file that begins with head is compressed, or "".
func KindOf(head []byte) Kind {
	for kind, magic := range map[Kind]string{XZ: xzMagic, Zstd: "\x28\xb5\x2f\xfd", Gzip: "\x1f\x8b\x08"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return kind
		}
	}
	return ""
}

// format is how a stream is put together.
type format interface {
	// packer compresses one block.
	packer() (pipe.Packer, error)
	// begin returns what the stream begins with.
	begin() []byte
	// add returns what a block becomes in the stream. n is its length before
	// compression; block is nil when it is zero.
	add(n int64, block, packed []byte) ([]byte, error)
	// end returns what the stream ends with.
	end() []byte
}

const (
	// blockSize is what is compressed at a time, in bytes.
	blockSize = 4 << 20
	// maxPackers and inFlight bound the memory of a writer.
	maxPackers = 4
	inFlight   = 2

	// An encoder of xz takes twenty times its block while it is at work: it
	// gets a smaller one, and has fewer beside it.
	xzBlockSize  = 2 << 20
	maxXZPackers = 2
)

// writer is a disk.Sink.
type writer struct {
	*blocks.Assembler
	w      io.Writer
	format format
	size   int64
	unit   int // what is compressed at a time, in bytes
	pipe   *pipe.Pipe
	done   int64            // of the disk, as far as it was written
	zeros  map[int64][]byte // compressed zeros, by their number
	closed bool
}

// Create returns a sink that writes a disk of size bytes into w as one stream.
// Close does not close w.
func Create(w io.Writer, size int64, kind Kind) (disk.Sink, error) {
	if size < 0 {
		return nil, fmt.Errorf("compressing a disk: its size is %d bytes", size)
	}
	d := &writer{w: w, size: size, unit: blockSize, zeros: map[int64][]byte{}}
	packers := maxPackers
	switch kind {
	case XZ:
		d.format, d.unit, packers = &xzFormat{}, xzBlockSize, maxXZPackers
	case Zstd:
		d.format = &zstdFormat{}
	case Gzip:
		d.format = &gzipFormat{}
	default:
		return nil, fmt.Errorf("compressing a disk: the kind %q is not known", kind)
	}
	var err error
	if d.pipe, err = pipe.NewBounded(packers, inFlight, d.format.packer, d.block); err != nil {
		return nil, fmt.Errorf("compressing a disk: %w", err)
	}
	d.Assembler = blocks.New(size, d.unit, d.pipe.Submit)
	if _, err := w.Write(d.format.begin()); err != nil {
		d.pipe.Close()
		return nil, err
	}
	return d, nil
}

// block writes a block, and the zeros before it.
func (d *writer) block(off int64, block, packed []byte) error {
	if err := d.skip(off); err != nil {
		return err
	}
	d.done = off + int64(len(block))
	return d.add(int64(len(block)), block, packed)
}

func (d *writer) add(n int64, block, packed []byte) error {
	p, err := d.format.add(n, block, packed)
	if err != nil {
		return err
	}
	_, err = d.w.Write(p)
	return err
}

// skip writes zeros up to an offset.
func (d *writer) skip(off int64) error {
	for d.done < off {
		n := min(int64(d.unit)-d.done%int64(d.unit), off-d.done)
		packed, known := d.zeros[n]
		if !known {
			pack, err := d.format.packer()
			if err != nil {
				return err
			}
			if packed, err = pack(nil, make([]byte, n)); err != nil {
				return err
			}
			d.zeros[n] = packed
		}
		if err := d.add(n, nil, packed); err != nil {
			return err
		}
		d.done += n
	}
	return nil
}

// Close writes the zeros at the end of the disk and the end of the stream.
func (d *writer) Close() error {
	err := d.Assembler.Close()
	if d.closed {
		return err
	}
	d.closed = true
	if e := d.pipe.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = d.finish()
	}
	if err == nil {
		_, err = d.w.Write(d.format.end())
	}
	return err
}

// finish writes the zeros at the end; a disk of no bytes has one empty block.
func (d *writer) finish() error {
	if d.size > 0 {
		return d.skip(d.size)
	}
	return d.add(0, nil, nil)
}
