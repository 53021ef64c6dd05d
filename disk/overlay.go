package disk

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"sort"
	"sync"
)

// Overlay is a disk whose changes stay in memory: what is not written shows
// the disk below. It takes the space of the sectors that were changed; a write
// that changes nothing takes none. It is safe for concurrent use.
type Overlay struct {
	base Reader

	mu      sync.RWMutex
	sectors map[int64][]byte // by number; the last of the disk may be shorter
	changes []Extent         // what Changes returns; nil when it is to be made anew
	last    []byte           // the last sector written: equal ones in a row are kept once
}

// NewOverlay returns an overlay without changes.
func NewOverlay(base Reader) *Overlay {
	return &Overlay{base: base, sectors: map[int64][]byte{}}
}

// Size returns the size in bytes.
func (o *Overlay) Size() int64 { return o.base.Size() }

// ReadAt implements [io.ReaderAt].
func (o *Overlay) ReadAt(p []byte, off int64) (int, error) {
	n, err := o.base.ReadAt(p, off)
	o.Patch(p[:n], off)
	return n, err
}

// Patch makes the changes to p, which holds what the disk below has at off.
func (o *Overlay) Patch(p []byte, off int64) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if len(o.sectors) == 0 {
		return
	}
	for at := off &^ (SectorSize - 1); at < off+int64(len(p)); at += SectorSize {
		if b := o.sectors[at/SectorSize]; b != nil {
			from := max(at, off)
			copy(p[from-off:], b[from-at:])
		}
	}
}

// WriteAt implements [io.WriterAt]. It does not make the disk larger.
func (o *Overlay) WriteAt(p []byte, off int64) (int, error) {
	if err := checkRange("writing", off, int64(len(p)), o.Size()); err != nil {
		return 0, err
	}
	for done := 0; done < len(p); {
		at := (off + int64(done)) &^ (SectorSize - 1)
		in := off + int64(done) - at
		n := min(int(SectorSize-in), len(p)-done)
		if err := o.change(at, in, p[done:done+n]); err != nil {
			return done, err
		}
		done += n
	}
	return len(p), nil
}

// change puts p at byte in of the sector at byte at.
func (o *Overlay) change(at, in int64, p []byte) error {
	b := make([]byte, min(SectorSize, o.Size()-at))
	if n, err := o.ReadAt(b, at); n < len(b) {
		return errors.Join(err, io.ErrUnexpectedEOF)
	}
	if bytes.Equal(b[in:in+int64(len(p))], p) {
		return nil
	}
	copy(b[in:], p)
	o.mu.Lock()
	defer o.mu.Unlock()
	if bytes.Equal(b, o.last) {
		b = o.last
	}
	o.sectors[at/SectorSize], o.last, o.changes = b, b, nil
	return nil
}

// Punch implements [Writer]: it keeps the sectors that held data as zeros.
func (o *Overlay) Punch(off, n int64) error {
	if err := checkRange("punching", off, n, o.Size()); err != nil {
		return err
	}
	zeros := make([]byte, BlockSize)
	for at, end := off, off+n; at < end; {
		e, err := o.NextData(at)
		if errors.Is(err, io.EOF) || err == nil && e.Off >= end {
			return nil
		}
		if err != nil {
			return err
		}
		for at = e.Off; at < min(e.End(), end); {
			k := min(BlockSize, min(e.End(), end)-at)
			if _, err := o.WriteAt(zeros[:k], at); err != nil {
				return err
			}
			at += k
		}
	}
	return nil
}

// NextData implements [Reader].
func (o *Overlay) NextData(off int64) (Extent, error) {
	e, err := o.base.NextData(off)
	if err != nil && !errors.Is(err, io.EOF) {
		return Extent{}, err
	}
	changes := o.Changes()
	i := sort.Search(len(changes), func(i int) bool { return changes[i].End() > off })
	if i == len(changes) || err == nil && changes[i].Off >= e.Off {
		return e, err
	}
	c := changes[i]
	from := max(c.Off, off)
	return Extent{Off: from, Len: c.End() - from}, nil
}

// Changes returns the sectors that differ from the disk below, ascending,
// neighbours as one. The slice is not to be changed.
func (o *Overlay) Changes() []Extent {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changes != nil {
		return o.changes
	}
	for _, n := range slices.Sorted(maps.Keys(o.sectors)) {
		at, length := n*SectorSize, int64(len(o.sectors[n]))
		if k := len(o.changes); k > 0 && o.changes[k-1].End() == at {
			o.changes[k-1].Len += length
			continue
		}
		o.changes = append(o.changes, Extent{Off: at, Len: length})
	}
	return o.changes
}
