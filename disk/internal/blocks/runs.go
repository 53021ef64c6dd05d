package blocks

import (
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
)

// Runs hands ascending writes on as they come, without what is zero, for
// formats that have a place for each byte. It holds no data.
type Runs struct {
	size, span int64
	emit       func(off int64, p []byte) error
	next       int64 // the offset before which no write may begin
	err        error
}

// NewRuns returns the runs of a disk of size bytes. emit gets them in
// ascending order, each within one aligned span of so many bytes. Every run
// holds a byte that is not zero. The first error of emit sticks.
func NewRuns(size, span int64, emit func(off int64, p []byte) error) *Runs {
	return &Runs{size: size, span: span, emit: emit}
}

// WriteAt implements [disk.Sink]'s part of io.WriterAt. Offsets must ascend.
func (r *Runs) WriteAt(p []byte, off int64) (int, error) {
	if r.err == nil {
		r.err = checkOrder(off, int64(len(p)), r.next, r.size)
	}
	if r.err != nil {
		return 0, r.err
	}
	r.next = off + int64(len(p))
	disk.DataRuns(p, off, func(e disk.Extent) {
		for e.Len > 0 && r.err == nil {
			n := min(r.span-e.Off%r.span, e.Len)
			if run := p[e.Off-off:][:n]; !disk.IsZero(run) {
				r.err = r.emit(e.Off, run)
			}
			e = disk.Extent{Off: e.Off + n, Len: e.Len - n}
		}
	})
	return len(p), r.err
}

// Close returns the first error of all. Writes fail with ErrClosed from then
// on.
func (r *Runs) Close() error {
	if r.err != nil {
		return r.err
	}
	r.err = ErrClosed
	return nil
}

// checkOrder refuses a write of n bytes at off before next, or beyond size.
func checkOrder(off, n, next, size int64) error {
	if off < next {
		return fmt.Errorf("writing at offset %d after %d: offsets must ascend", off, next)
	}
	if off > size || n > size-off {
		return fmt.Errorf("writing %d bytes at offset %d: beyond the disk of %d bytes", n, off, size)
	}
	return nil
}
