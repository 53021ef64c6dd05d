package xfs

import (
	"context"
	"encoding/binary"
	"hash/crc32"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is the crc32c of b, with the four bytes at off taken as zero.
func checksum(b []byte, off int64) uint32 {
	sum := crc32.Update(0, castagnoli, b[:off])
	sum = crc32.Update(sum, castagnoli, make([]byte, 4))
	return crc32.Update(sum, castagnoli, b[off+4:])
}

// Reseal recomputes the checksums of all units, XADS section "Metadata
// Integrity", and mends the log. Only what differs is written.
func (f *filesystem) Reseal(ctx context.Context, w disk.Writer) error {
	after := *f
	after.r = w
	if err := after.resealLog(ctx, w); err != nil {
		return err
	}
	if !f.v5 {
		return nil
	}
	var b []byte
	s := survey{ctx: ctx, f: &after, extent: func(sanitize.Region, bool) {}}
	s.unit = func(u unit) error {
		if u.sum == 0 {
			return nil
		}
		length := int64(0)
		for _, e := range u.at {
			length += e.Len
		}
		if int64(len(b)) < length {
			b = make([]byte, length)
		}
		return reseal(w, b[:length], u)
	}
	return s.run()
}

// reseal renews the checksum of one unit, which lies within its first extent.
// b has its length.
func reseal(w disk.Writer, b []byte, u unit) error {
	if err := readExtents(w, b, u.at); err != nil {
		return err
	}
	sum := checksum(b, u.sum)
	if binary.LittleEndian.Uint32(b[u.sum:]) == sum {
		return nil
	}
	_, err := w.WriteAt(binary.LittleEndian.AppendUint32(nil, sum), u.at[0].Off+u.sum)
	return err
}
