package ntfs

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
)

// stride is the unit of the fixups, in bytes, whatever the sector size.
const stride = 512

// usa is the update sequence array of a protected structure, LAYOUT
// NTFS_RECORD: the sequence number, then the saved bytes of each stride.
type usa struct {
	off   int
	count int // strides
}

// readUSA finds the array of b, which holds the structure whole.
func readUSA(b []byte) (usa, error) {
	le := binary.LittleEndian
	u := usa{off: int(le.Uint16(b[4:])), count: int(le.Uint16(b[6:])) - 1}
	if u.off&1 != 0 || u.off < 8 || u.count != len(b)/stride || u.end() > stride-2 {
		return u, fmt.Errorf("an update sequence of %d words at byte %d", u.count+1, u.off)
	}
	return u, nil
}

// end returns the byte behind the array.
func (u usa) end() int { return u.off + 2 + 2*u.count }

// saved returns where the bytes of stride i are saved, and last where they
// belong.
func (u usa) saved(i int) int { return u.off + 2 + 2*i }

func last(i int) int { return (i+1)*stride - 2 }

// unprotect puts the saved bytes of b back. A stride with another sequence
// number was not written with the rest.
func unprotect(b []byte) (usa, error) {
	u, err := readUSA(b)
	if err != nil {
		return u, err
	}
	for i := range u.count {
		at := last(i)
		if !bytes.Equal(b[at:at+2], b[u.off:u.off+2]) {
			return u, fmt.Errorf("an incomplete write: byte %d lacks its sequence number", at)
		}
		copy(b[at:at+2], b[u.saved(i):])
	}
	return u, nil
}

// protected turns dead extents of b, given in the coordinates of its content
// and ascending, into dead extents of what is stored: without the sequence
// numbers, and with the saved bytes that belong to them. b is unprotected.
func (u usa) protected(b []byte, dead []disk.Extent) []disk.Extent {
	var saved, stored []disk.Extent
	for _, d := range dead {
		for off := d.Off; off < d.End(); {
			word := int64(last(int(off / stride)))
			if off < word {
				end := min(d.End(), word)
				stored = append(stored, disk.Extent{Off: off, Len: end - off})
				off = end
				continue
			}
			if b[off] != 0 {
				at := int64(u.saved(int(off/stride))) + off - word
				saved = append(saved, disk.Extent{Off: at, Len: 1})
			}
			off++
		}
	}
	return append(saved, stored...)
}
