// Package cds makes the JVM's class archives the same bytes each time.
//
// An archive is a function of the classes in it but for one thing. The JVM
// counts how often an exception passed a method, and archives those counters
// although it never uses them again. Each begins with a pointer into the JVM's
// own code, which the kernel places anywhere. One class that the app refers to
// and lacks, or one jar, is enough for such a counter.
//
// [Settle] finds the pointers by comparing two dumps of the same classes. What
// it knows of the format is little, the same in JDK 17 to 21, and proven by the
// checksums of the archive at hand: a CRC-32 of the header, and one of each
// region (HotSpot, cds_structs: CDSFileMapRegion).
package cds

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
)

// Settle zeroes in both archives the pointers by which they differ, and renews
// the checksums. It returns false, and leaves them alone, when they differ by
// anything else, or are in a format that it does not know.
//
// The archives must be of two processes whose memory was placed at random.
func Settle(a, b []byte) bool {
	la, ok := parse(a)
	if !ok || len(a) != len(b) {
		return false
	}
	lb, ok := parse(b)
	if !ok || la.header != lb.header || !slices.Equal(la.regions, lb.regions) {
		return false
	}
	pointers, ok := la.compare(a, b)
	if !ok {
		return false
	}
	for _, at := range pointers {
		clear(a[at : at+word])
		clear(b[at : at+word])
	}
	la.seal(a)
	la.seal(b)
	return true
}

const (
	word = 8
	page = 4096
)

// compare returns where the archives differ by a pointer into a shared library:
// by a multiple of pages, and in the part of the address space where the kernel
// puts libraries and stacks, the last 16 TiB of 128.
func (l layout) compare(a, b []byte) (pointers []int, ok bool) {
	sums := map[int]bool{headerSum &^ (word - 1): true}
	for _, r := range l.regions {
		sums[r.sum] = true
	}
	end := len(a) &^ (word - 1)
	for at := 0; at < end; at += word {
		x, y := binary.LittleEndian.Uint64(a[at:]), binary.LittleEndian.Uint64(b[at:])
		switch {
		case x == y:
		case sums[at] && at < l.header:
			if differBesides(at, x, y) {
				return nil, false
			}
		case at >= l.header && (x^y)%page == 0 && x>>44 == 7 && y>>44 == 7:
			pointers = append(pointers, at)
		default:
			return nil, false
		}
	}
	return pointers, string(a[end:]) == string(b[end:])
}

// differBesides tells whether two words of the header that hold a checksum
// differ in their other half.
func differBesides(at int, x, y uint64) bool {
	if at == headerSum&^(word-1) {
		return uint32(x) != uint32(y) // the magic number stands before it
	}
	return x>>32 != y>>32
}

// layout is what must be known of an archive to renew its checksums.
type layout struct {
	header  int // size of the header
	regions []region
}

// region is a part of an archive with a checksum of its own.
type region struct {
	sum        int // where the checksum stands in the header
	begin, end int
}

// Offsets in the header, and in the description of a region there.
const (
	magic        = 0xf00baba2
	headerSum    = 4
	headerBody   = 8 // what the header's checksum is over begins here
	headerLimit  = 64 << 10
	regionOffset = 0x18 // in the file
	regionUsed   = 0x28
)

// parse finds header and regions by their checksums.
func parse(a []byte) (layout, bool) {
	var l layout
	if len(a) < headerBody || binary.LittleEndian.Uint32(a) != magic {
		return l, false
	}
	want, got := binary.LittleEndian.Uint32(a[headerSum:]), uint32(0)
	for i := headerBody; i < min(len(a), headerLimit) && l.header == 0; i++ {
		if got = crc32.Update(got, crc32.IEEETable, a[i:i+1]); got == want {
			l.header = i + 1
		}
	}
	for at := headerBody; at+regionUsed+word <= l.header; at += word {
		begin := binary.LittleEndian.Uint64(a[at+regionOffset:])
		used := binary.LittleEndian.Uint64(a[at+regionUsed:])
		size := uint64(len(a))
		if begin < uint64(l.header) || begin > size || used == 0 || used > size-begin {
			continue
		}
		r := region{at, int(begin), int(begin + used)}
		if crc32.ChecksumIEEE(a[r.begin:r.end]) == binary.LittleEndian.Uint32(a[at:]) {
			l.regions = append(l.regions, r)
		}
	}
	return l, len(l.regions) > 0
}

// seal renews the checksums: that of the header, which is over the others, last.
func (l layout) seal(a []byte) {
	for _, r := range l.regions {
		binary.LittleEndian.PutUint32(a[r.sum:], crc32.ChecksumIEEE(a[r.begin:r.end]))
	}
	binary.LittleEndian.PutUint32(a[headerSum:], crc32.ChecksumIEEE(a[headerBody:l.header]))
}
