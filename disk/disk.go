// Package disk is the disk noun: a block image that is read sparsely, written
// in place, punched, or streamed into an encoding.
//
// # Nouns
//
// A [Reader] is an image that does not change. It tells where data may be, so
// that holes are never read, hashed, compressed or sent. A [Writer] is an
// image that is changed in place. A [Sink] takes the data of a disk once, in
// ascending order, and encodes it: every container format is one.
//
// # Sources and sinks
//
// Sources: [OpenFile] (a sparse raw file), [Section] (a part of another
// disk), and the Open functions of the codecs below this folder. Sinks:
// [CreateFile] and the Create functions of the codecs. [Copy] moves one
// source into any number of sinks in one pass. [Memory] is both, for tests and
// small disks.
//
// This package is a leaf: it imports nothing of imgbuild.
package disk

import (
	"fmt"
	"io"
)

// SectorSize is the unit of partition tables and of most container formats,
// in bytes.
const SectorSize = 512

// BlockSize is the granularity of sparseness, in bytes: an aligned block that
// holds only zeros is treated as a hole. It is the block size of the common
// filesystems and of the page cache.
const BlockSize = 4096

// Extent is a run of bytes.
type Extent struct {
	Off int64 // first byte
	Len int64 // number of bytes
}

// End returns the offset behind the last byte.
func (e Extent) End() int64 { return e.Off + e.Len }

// String returns the first byte and the number of bytes, as "off+len".
func (e Extent) String() string { return fmt.Sprintf("%d+%d", e.Off, e.Len) }

// Reader is a disk image of a fixed size. Implementations are safe for
// concurrent use.
type Reader interface {
	// ReadAt follows io.ReaderAt; holes read as zero.
	io.ReaderAt
	// Size returns the virtual size in bytes.
	Size() int64
	// NextData returns the first run at or after off that may hold bytes
	// other than zero. What lies between off and the run reads as zero. It
	// returns io.EOF when only zeros follow. A run may hold zeros; it never
	// begins before off.
	NextData(off int64) (Extent, error)
}

// Writer is a disk image that is changed in place.
type Writer interface {
	Reader
	io.WriterAt
	// Punch makes n bytes at off read as zero and gives their space back
	// where the medium can.
	Punch(off, n int64) error
}

// Holer is a disk that tells what Punch makes of a run. One that is no Holer
// promises nothing.
type Holer interface {
	Holes() Holes
}

// Holes says when Punch makes a hole, which [Reader.NextData] skips afterwards.
type Holes struct {
	// Grain is the size and alignment in bytes of what can be a hole; 0 where
	// nothing can.
	Grain int64
	// From is the length in bytes from which a hole costs less than zeros.
	From int64
}

// Sink takes the data of a disk. Offsets ascend and do not overlap; what is
// not written is zero. Writes may be split in any way: the output is the same.
//
// Close finishes the encoding: before it the output is incomplete. It is
// called after a failed write too; it then returns that error and only gives
// back what the sink holds. A Sink is used by one goroutine at a time.
type Sink interface {
	io.WriterAt
	Close() error
}
