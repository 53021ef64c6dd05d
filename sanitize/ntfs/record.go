package ntfs

import (
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
)

// Offsets and flags of an MFT record, LAYOUT MFT_RECORD.
const (
	offSequence   = 0x10
	offLinks      = 0x12
	offAttributes = 0x14
	offFlags      = 0x16
	offUsed       = 0x18
	offBase       = 0x20
	offInstance   = 0x28
	recordHeader  = 0x2a // of version 1.2, whose header is the shortest
	flagInUse     = 1
	flagDir       = 2

	magicRecord = "FILE"
	attrAlign   = 8
	endMarkLen  = 8 // the end mark of the attributes with its padding
)

// reference is the number of a record with the sequence number that it must
// have, LAYOUT MFT_REF.
type reference uint64

func (r reference) num() int64       { return int64(r & (1<<48 - 1)) }
func (r reference) sequence() uint16 { return uint16(r >> 48) }

// record is an MFT record in use.
type record struct {
	num   int64
	raw   []byte // the fixups undone
	usa   usa
	seq   uint16
	flags uint16
	base  reference // of an extension record; 0 in a base record
	first int64     // where the attributes begin
	used  int64     // bytes
	attrs []attribute
}

// hasHeader reports whether b, as it is stored, is a record.
func hasHeader(b []byte) bool { return string(b[:len(magicRecord)]) == magicRecord }

// inUse reports whether b, as it is stored, is a record in use.
func inUse(b []byte) bool {
	return hasHeader(b) && binary.LittleEndian.Uint16(b[offFlags:])&flagInUse != 0
}

// records returns the number of MFT records that were ever written.
func (f *filesystem) records() int64 { return f.mft.limit() / f.recordSize }

// record reads record num, which must be in use.
func (f *filesystem) record(num int64) (*record, error) {
	if num < 0 || num >= f.records() {
		return nil, fmt.Errorf("MFT record %d of %d", num, f.records())
	}
	b := make([]byte, f.recordSize)
	if err := f.mft.read(b, num*f.recordSize); err != nil {
		return nil, fmt.Errorf("reading MFT record %d: %w", num, err)
	}
	if !inUse(b) {
		return nil, fmt.Errorf("MFT record %d is not in use", num)
	}
	return parseRecord(num, b)
}

// referred reads the record that ref leads to.
func (f *filesystem) referred(ref reference) (*record, error) {
	r, err := f.record(ref.num())
	if err == nil && ref.sequence() != 0 && ref.sequence() != r.seq {
		err = fmt.Errorf("MFT record %d has sequence number %d where %d is expected", r.num, r.seq, ref.sequence())
	}
	return r, err
}

// parseRecord parses a record in use. It keeps b.
func parseRecord(num int64, b []byte) (*record, error) {
	u, err := unprotect(b)
	if err != nil {
		return nil, fmt.Errorf("MFT record %d: %w", num, err)
	}
	le := binary.LittleEndian
	r := &record{
		num: num, raw: b, usa: u,
		seq:   le.Uint16(b[offSequence:]),
		flags: le.Uint16(b[offFlags:]),
		base:  reference(le.Uint64(b[offBase:])),
		used:  int64(le.Uint32(b[offUsed:])),
	}
	r.first = int64(le.Uint16(b[offAttributes:]))
	if r.first < int64(u.end()) || r.first%attrAlign != 0 || r.used > int64(len(b)) || r.first > r.used-4 {
		return nil, fmt.Errorf("MFT record %d: attributes at byte %d of %d", num, r.first, r.used)
	}
	for off := r.first; ; {
		if off > r.used-4 {
			return nil, fmt.Errorf("MFT record %d: the attributes have no end", num)
		}
		if le.Uint32(b[off:]) == attrEnd {
			return r, nil
		}
		a, err := parseAttribute(b[off:r.used])
		if err != nil {
			return nil, fmt.Errorf("MFT record %d: attribute at byte %d: %w", num, off, err)
		}
		a.off = off
		r.attrs = append(r.attrs, a)
		off += int64(len(a.raw))
	}
}

// gaps returns what is dead in the part of the record that is used.
func (r *record) gaps() ([]disk.Extent, error) {
	dead := gap(r.raw, int64(r.usa.end()), r.first)
	for _, a := range r.attrs {
		gaps, err := a.dead()
		if err != nil {
			return nil, fmt.Errorf("MFT record %d: %w", r.num, err)
		}
		for _, g := range gaps {
			dead = append(dead, disk.Extent{Off: a.off + g.Off, Len: g.Len})
		}
	}
	return dead, nil
}

// dead returns the dead extents of the record as it is stored.
func (r *record) dead() ([]disk.Extent, error) {
	dead, err := r.gaps()
	if err != nil {
		return nil, err
	}
	if rest := int64(len(r.raw)) - r.used; rest > 0 {
		dead = append(dead, disk.Extent{Off: r.used, Len: rest})
	}
	return r.usa.protected(r.raw, dead), nil
}

// content returns what the attributes say, with zeros for what is dead.
func (r *record) content() ([]byte, error) {
	dead, err := r.gaps()
	b := append([]byte(nil), r.raw[r.first:r.used]...)
	for _, d := range dead {
		if d.Off >= r.first {
			clear(b[d.Off-r.first:][:d.Len])
		}
	}
	return b, err
}

// emptyHeader returns the length of what must stay of b, a record that is not
// in use as it is stored: the header, the update sequence, an end mark. ok is
// false when b has no header; nothing must stay then.
func emptyHeader(b []byte) (u usa, n int64, ok bool) {
	if !hasHeader(b) {
		return u, 0, false
	}
	u, err := readUSA(b)
	n = (int64(u.end()) + attrAlign - 1) &^ (attrAlign - 1)
	if err != nil || u.off < recordHeader || n+endMarkLen > stride-2 {
		return u, 0, false
	}
	return u, n + endMarkLen, true
}

// deadOfFree returns the dead extents of b, a record that is not in use.
func deadOfFree(b []byte) []disk.Extent {
	size := int64(len(b))
	u, n, ok := emptyHeader(b)
	if !ok {
		return []disk.Extent{{Len: size}}
	}
	// What is saved at the front belongs to dead places, all of it.
	plain := make([]byte, size)
	for i := range u.count {
		copy(plain[last(i):], b[u.saved(i):u.saved(i)+2])
	}
	return u.protected(plain, []disk.Extent{{Off: n, Len: size - n}})
}

// emptied returns what an unused record must be: b, as it is stored, with the
// header of an empty record. The sequence number stays, so that references to
// the file that was there stay invalid.
func emptied(b []byte) []byte {
	u, n, ok := emptyHeader(b)
	if !ok {
		return b
	}
	le := binary.LittleEndian
	e := append([]byte(nil), b...)
	le.PutUint16(e[offLinks:], 0)
	le.PutUint16(e[offAttributes:], uint16(n-endMarkLen))
	le.PutUint16(e[offFlags:], 0)
	le.PutUint32(e[offUsed:], uint32(n))
	le.PutUint64(e[offBase:], 0)
	le.PutUint16(e[offInstance:], 0)
	le.PutUint32(e[n-endMarkLen:], attrEnd)
	le.PutUint32(e[n-endMarkLen+4:], 0)
	for i := range u.count {
		copy(e[last(i):], b[u.off:u.off+2])
	}
	return e
}
