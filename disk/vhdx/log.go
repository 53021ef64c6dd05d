package vhdx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk/part"

	"github.com/imgbuild/imgbuild/disk/internal/blocktable"
)

// The log (section 2.3) holds changes of metadata that were not yet made when
// a disk was last used. It is a ring of sectors in which entries follow one
// another, each with a sequence number one above that of its predecessor.
const (
	logSector     = 4 << 10
	entryMagic    = "loge"
	entryHeader   = 64
	descriptor    = 32
	dataMagic     = "data"
	dataMarker    = "desc"
	zeroMarker    = "zero"
	leadingBytes  = 8 // of a data sector, kept in its descriptor
	trailingBytes = 4
	// maxLog bounds a log, in bytes. Hyper-V makes logs of 1 MiB.
	maxLog = 64 * mib
	// maxZeros bounds the runs of zeros in a log, each of any length.
	maxZeros = 1 << 12
	// effort bounds how often over the log is read for entries that overlap.
	effort = 8
)

// logEntry is a valid entry.
type logEntry struct {
	at, size      int64 // in the ring
	tail          int64 // of the sequence, when the entry was written
	sequence      uint64
	flushed, last int64 // the length of the file: at least, and in the end
	descriptors   int
}

// ring reads the log.
type ring struct {
	r      io.ReaderAt
	off    int64
	size   int64
	id     part.GUID
	budget int64
}

// read reads n bytes at a place in the ring.
func (l *ring) read(at, n int64) ([]byte, error) {
	at %= l.size
	first := min(n, l.size-at)
	p, err := blocktable.Read(l.r, l.off+at, first)
	if err != nil || first == n {
		return p, err
	}
	rest, err := blocktable.Read(l.r, l.off, n-first)
	return append(p, rest...), err
}

// entry returns the valid entry at a place, or nil (section 2.3.2).
func (l *ring) entry(at int64) (*logEntry, error) {
	p, err := l.read(at, entryHeader)
	if err != nil || string(p[:4]) != entryMagic || part.GUID(p[32:48]) != l.id {
		return nil, err
	}
	e := &logEntry{
		at: at, size: int64(binary.LittleEndian.Uint32(p[8:])), tail: int64(binary.LittleEndian.Uint32(p[12:])),
		sequence: binary.LittleEndian.Uint64(p[16:]), descriptors: int(binary.LittleEndian.Uint32(p[24:])),
		flushed: int64(binary.LittleEndian.Uint64(p[48:])), last: int64(binary.LittleEndian.Uint64(p[56:])),
	}
	if e.size < logSector || e.size > l.size || e.size%logSector != 0 || e.tail%logSector != 0 || e.tail >= l.size ||
		e.sequence == 0 || int64(e.descriptors) > (e.size-entryHeader)/descriptor {
		return nil, nil
	}
	if l.budget -= e.size; l.budget < 0 {
		return nil, errors.New("its entries overlap in too many ways")
	}
	if p, err = l.read(at, e.size); err != nil || !sealed(p, entryMagic) || !e.complete(p) {
		return nil, err
	}
	return e, nil
}

// dataStart is where the data sectors follow the descriptors.
func (e *logEntry) dataStart() int64 {
	return blocktable.DivUp(entryHeader+int64(e.descriptors)*descriptor, logSector) * logSector
}

// complete reports whether all parts of an entry belong to it.
func (e *logEntry) complete(p []byte) bool {
	next := e.dataStart()
	for i := range e.descriptors {
		d := p[entryHeader+i*descriptor:][:descriptor]
		if binary.LittleEndian.Uint64(d[24:]) != e.sequence || binary.LittleEndian.Uint64(d[16:])%logSector != 0 ||
			binary.LittleEndian.Uint64(d[16:]) > 1<<62 {
			return false
		}
		switch string(d[:4]) {
		case zeroMarker:
		case dataMarker:
			if next+logSector > e.size {
				return false
			}
			s := p[next:][:logSector]
			if string(s[:4]) != dataMagic || binary.LittleEndian.Uint32(s[4:]) != uint32(e.sequence>>32) ||
				binary.LittleEndian.Uint32(s[logSector-4:]) != uint32(e.sequence) {
				return false
			}
			next += logSector
		default:
			return false
		}
	}
	return true
}

// active returns the entries that count, the oldest first (section 2.3.3): of
// all unbroken sequences that reach back to their own tail, the newest.
func (l *ring) active() ([]*logEntry, error) {
	var best []*logEntry
	for at := int64(0); at < l.size; {
		var run []*logEntry
		head := at
		for head-at < l.size {
			e, err := l.entry(head % l.size)
			if err != nil {
				return nil, err
			}
			if e == nil || len(run) > 0 && e.sequence != run[len(run)-1].sequence+1 {
				break
			}
			run = append(run, e)
			head += e.size
		}
		valid := false
		if len(run) > 0 {
			newest := run[len(run)-1]
			for i, e := range run {
				if e.at == newest.tail {
					valid = true
					if len(best) == 0 || newest.sequence > best[len(best)-1].sequence {
						best = run[i:]
					}
				}
			}
		}
		if at = head; !valid {
			at = head - head%logSector
			if len(run) == 0 {
				at += logSector
			}
		}
	}
	if len(best) == 0 {
		return nil, errors.New("it holds no sequence of entries that is whole")
	}
	return best, nil
}

// replay returns the file as it is after its log was replayed, and its length.
func replay(r io.ReaderAt, n int64, h header) (io.ReaderAt, int64, error) {
	if h.logSize == 0 || h.logSize > maxLog || h.logSize%mib != 0 || h.logOffset < mib || h.logOffset%mib != 0 || h.logOffset > n-h.logSize {
		return nil, 0, fmt.Errorf("it is said to have %d bytes at %d, in a file of %d bytes", h.logSize, h.logOffset, n)
	}
	l := &ring{r: r, off: h.logOffset, size: h.logSize, id: h.log, budget: effort * h.logSize}
	entries, err := l.active()
	if err != nil {
		return nil, 0, err
	}
	newest := entries[len(entries)-1]
	if newest.flushed > n || newest.last < 0 || newest.last > 1<<62 {
		return nil, 0, fmt.Errorf("the file is cut short: it has %d bytes of %d", n, newest.flushed)
	}
	f := &patched{r: r, n: n, log: l, pages: map[int64]patch{}}
	for _, e := range entries {
		if err := f.apply(e); err != nil {
			return nil, 0, err
		}
	}
	return f, max(n, newest.last), nil
}
