// Package blocks turns the writes of a sink, which may be split in any way,
// into the aligned blocks that container formats are made of.
package blocks

import (
	"errors"

	"github.com/imgbuild/imgbuild/disk"
)

// ErrClosed is returned for a write after Close.
var ErrClosed = errors.New("writing to a disk that is closed")

// Assembler collects ascending writes. Each aligned block that holds data is
// emitted once, in ascending order; blocks of zeros are dropped.
type Assembler struct {
	size int64
	emit func(off int64, block []byte) error

	next    int64  // the offset before which no write may begin
	pending []byte // one block, partly written
	at      int64  // offset of pending, or -1 when it is empty
	err     error
}

// New returns an assembler for a disk of size bytes. emit gets whole blocks
// of blockSize bytes, except that the last of the disk may be shorter; the
// slice is valid during the call only. The first error of emit sticks.
func New(size int64, blockSize int, emit func(off int64, block []byte) error) *Assembler {
	return &Assembler{size: size, emit: emit, pending: make([]byte, blockSize), at: -1}
}

// WriteAt implements [disk.Sink]'s part of io.WriterAt. Offsets must ascend.
func (a *Assembler) WriteAt(p []byte, off int64) (int, error) {
	if a.err != nil {
		return 0, a.err
	}
	if a.err = checkOrder(off, int64(len(p)), a.next, a.size); a.err != nil {
		return 0, a.err
	}
	total := len(p)
	for len(p) > 0 && a.err == nil {
		n := a.write(p, off)
		p, off = p[n:], off+int64(n)
	}
	a.next = off
	return total - len(p), a.err
}

// write takes bytes up to the next border between blocks.
func (a *Assembler) write(p []byte, off int64) int {
	size := int64(len(a.pending))
	start := off / size * size
	length := min(size, a.size-start)
	n := int(min(start+length-off, int64(len(p))))
	if a.at >= 0 && a.at != start {
		a.err = a.flush()
	}
	if int64(n) == length && a.err == nil {
		a.err = a.send(start, p[:n])
		return n
	}
	a.at = start
	copy(a.pending[off-start:], p[:n])
	if off+int64(n) == start+length && a.err == nil {
		a.err = a.flush()
	}
	return n
}

// flush emits the pending block.
func (a *Assembler) flush() error {
	if a.at < 0 {
		return nil
	}
	start := a.at
	a.at = -1
	err := a.send(start, a.pending[:min(int64(len(a.pending)), a.size-start)])
	clear(a.pending)
	return err
}

func (a *Assembler) send(off int64, block []byte) error {
	if disk.IsZero(block) {
		return nil
	}
	return a.emit(off, block)
}

// Close emits what is pending and returns the first error of all. Writes fail
// with ErrClosed from then on.
func (a *Assembler) Close() error {
	if a.err != nil {
		return a.err
	}
	err := a.flush()
	a.err = ErrClosed
	return err
}
