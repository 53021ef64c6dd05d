package xfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// want returns the cycle number that sector n is to carry, so that the kernel
// finds the head where it is.
func (h logHead) want(n int64) uint32 {
	switch {
	case n < h.block:
		return h.cycle
	case h.written:
		return h.cycle - 1
	}
	return 0
}

// fresh reports whether sector n, outside of the unmount record, holds its
// cycle number and nothing else.
func (h logHead) fresh(n int64, b []byte) bool {
	return binary.BigEndian.Uint32(b) == h.want(n) && allZero(b[4:])
}

// within returns the place of sector n in the unmount record.
func (h logHead) within(n, sectors int64) (int64, bool) {
	i := (n - h.record + sectors) % sectors
	return i, h.headers > 0 && i < h.headers+h.length
}

// recordDead returns what nothing uses in sector i of the unmount record, b.
// The words that cycle numbers displaced matter for its first sector of data
// only: the others are padding.
func (h logHead) recordDead(i int64, b []byte) []disk.Extent {
	switch {
	case i == 0:
		return []disk.Extent{span(recOffWords+4, recOffWords+4*recWords), span(recHeader, logSector)}
	case i == h.headers:
		used := min(opHeader+int64(binary.BigEndian.Uint32(b[opOffLen:])), logSector)
		return []disk.Extent{span(used, logSector)}
	}
	return []disk.Extent{span(4, logSector)}
}

// sectorDead returns what is dead in sector n of the log. Its cycle number is
// written anew.
func (h logHead) sectorDead(n, sectors int64, b []byte) []disk.Extent {
	if i, ok := h.within(n, sectors); ok {
		return h.recordDead(i, b)
	}
	if h.fresh(n, b) {
		return nil
	}
	return []disk.Extent{span(0, logSector)}
}

// logRegions accounts for the log. A sector that holds nothing but its cycle
// number is metadata as a whole, and so is what was never written: a scrubbed
// log is a single region.
func (f *filesystem) logRegions(ctx context.Context, emit func(sanitize.Region) error) error {
	log, err := f.logExtent()
	if err != nil {
		return err
	}
	next, sectors := int64(0), log.Len/logSector
	put := func(to int64, c sanitize.Class) error {
		if to == next {
			return nil
		}
		g := sanitize.Region{Extent: disk.Extent{Off: log.Off + next, Len: to - next}, Class: c, Owner: logOwner}
		next = to
		return emit(g)
	}
	err = f.logSectors(ctx, 0, sectors, false, func(n int64, b []byte) error {
		for _, d := range f.head.sectorDead(n, sectors, b) {
			if err := put(n*logSector+d.Off, sanitize.Metadata); err != nil {
				return err
			}
			if err := put(n*logSector+d.End(), sanitize.Stale); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return put(log.Len, sanitize.Metadata)
}

// resealLog writes the cycle number where a sector has lost it, and renews the
// checksum of the unmount record.
func (f *filesystem) resealLog(ctx context.Context, w disk.Writer) error {
	log, err := f.logExtent()
	if err != nil || f.head.headers == 0 {
		return err
	}
	sectors := log.Len / logSector
	mend := func(n int64, b []byte) error {
		if _, ok := f.head.within(n, sectors); ok || stamp(b) == f.head.want(n) {
			return nil
		}
		_, err := w.WriteAt(binary.BigEndian.AppendUint32(nil, f.head.want(n)), log.Off+n*logSector)
		return err
	}
	if err := f.logSectors(ctx, 0, f.head.block, true, mend); err != nil {
		return err
	}
	if err := f.logSectors(ctx, f.head.block, sectors, f.head.written, mend); err != nil {
		return err
	}
	return f.resealRecord(w, log)
}

// resealRecord renews the checksum of the unmount record (kernel,
// xlog_cksum): over the first header, the headers that its length calls for,
// and the data.
func (f *filesystem) resealRecord(w disk.Writer, log disk.Extent) error {
	h, sectors := f.head, log.Len/logSector
	var b []byte
	for i := range h.headers + h.length {
		p := make([]byte, logSector)
		if err := sanitize.ReadFull(w, p, log.Off+(h.record+i)%sectors*logSector); err != nil {
			return err
		}
		b = append(b, p...)
	}
	old := bytes.Clone(b[recOffSum : recOffSum+4])
	if allZero(old) {
		return nil // written without one, by mkfs or an old kernel
	}
	length := int64(binary.BigEndian.Uint32(b[recOffLen:]))
	sum := checksum(b[:recHeader], recOffSum)
	for i := int64(1); f.logV2 && i < (length+recSpan-1)/recSpan && i < h.headers; i++ {
		sum = crc32.Update(sum, castagnoli, b[i*logSector:i*logSector+recMore])
	}
	sum = crc32.Update(sum, castagnoli, b[h.headers*logSector:h.headers*logSector+length])
	if p := binary.LittleEndian.AppendUint32(nil, sum); !bytes.Equal(p, old) {
		_, err := w.WriteAt(p, log.Off+h.record*logSector+recOffSum)
		return err
	}
	return nil
}
