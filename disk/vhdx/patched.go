package vhdx

import (
	"encoding/binary"
	"errors"
	"io"
)

// patched is a file with the changes of its log. Only where the changes are is
// kept in memory.
type patched struct {
	r     io.ReaderAt
	n     int64
	log   *ring
	order int
	pages map[int64]patch // by the offset of a sector
	zeros []zeroRun
}

// patch is a sector that the log holds.
type patch struct {
	order      int
	at         int64 // of its data in the ring
	lead, tail []byte
}

// zeroRun is a run that the log says is zero.
type zeroRun struct {
	order    int
	off, end int64
}

// apply takes the changes of an entry; they go above those of earlier ones.
func (f *patched) apply(e *logEntry) error {
	p, err := f.log.read(e.at, e.dataStart())
	if err != nil {
		return err
	}
	next := e.at + e.dataStart()
	for i := range e.descriptors {
		d := p[entryHeader+i*descriptor:][:descriptor]
		off := int64(binary.LittleEndian.Uint64(d[16:]))
		f.order++
		if string(d[:4]) == dataMarker {
			f.pages[off] = patch{f.order, next, d[8:16], d[4:8]}
			next += logSector
			continue
		}
		n := int64(min(binary.LittleEndian.Uint64(d[8:]), 1<<62))
		f.zeros = append(f.zeros, zeroRun{f.order, off, off + n})
		if len(f.zeros) > maxZeros {
			return errors.New("it holds too many runs of zeros")
		}
	}
	return nil
}

// ReadAt reads what the file would hold. What lies beyond its end and is not
// in the log reads as zero.
func (f *patched) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.r.ReadAt(p[:min(int64(len(p)), max(f.n-off, 0))], off)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, err
	}
	clear(p[n:])
	for at := off - off%logSector; at < off+int64(len(p)); at += logSector {
		if err := f.patch(p, off, at); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// patch changes what p, which lies at off, holds of the sector at a place.
func (f *patched) patch(p []byte, off, at int64) error {
	from, to := max(at, off), min(at+logSector, off+int64(len(p)))
	page, held := f.pages[at]
	for _, z := range f.zeros {
		if z.off <= at && at < z.end && (!held || z.order > page.order) {
			clear(p[from-off : to-off])
			held = false
		}
	}
	if !held {
		return nil
	}
	s, err := f.log.read(page.at, logSector)
	if err != nil {
		return err
	}
	copy(s, page.lead)
	copy(s[logSector-trailingBytes:], page.tail)
	copy(p[from-off:to-off], s[from-at:])
	return nil
}
