package ntfs

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"unicode/utf16"

	"github.com/imgbuild/imgbuild/disk"
)

// Types of attributes, LAYOUT ATTR_TYPES.
const (
	attrStandard   = 0x10
	attrList       = 0x20
	attrFileName   = 0x30
	attrObjectID   = 0x40
	attrSecurity   = 0x50
	attrVolumeName = 0x60
	attrVolumeInfo = 0x70
	attrData       = 0x80
	attrIndexRoot  = 0x90
	attrIndexAlloc = 0xa0
	attrBitmap     = 0xb0
	attrReparse    = 0xc0
	attrEA         = 0xe0
	attrLogged     = 0x100
	attrEnd        = 0xffffffff
)

// Offsets in an attribute's header, LAYOUT ATTR_RECORD.
const (
	offAttrLen       = 4
	offNonResident   = 8
	offNameLen       = 9
	offNameOff       = 0x0a
	offAttrFlags     = 0x0c
	offValueLen      = 0x10 // resident
	offValueOff      = 0x14
	residentHeader   = 0x18
	offLowest        = 0x10 // not resident
	offHighest       = 0x18
	offPairs         = 0x20
	offUnit          = 0x22
	offAllocated     = 0x28
	offDataSize      = 0x30
	offInitialized   = 0x38
	nonResidentFixed = 0x40
)

// Flags of an attribute, LAYOUT ATTR_FLAGS.
const (
	flagCompressed = 0x00ff
	flagEncrypted  = 0x4000
)

// attribute is one attribute of one record: whole, or a part of one that other
// records continue.
type attribute struct {
	off   int64 // in the record
	raw   []byte
	kind  uint32
	name  string
	flags uint16
	// value is the content of a resident attribute, pairs the mapping pairs
	// of another one with all that follows them.
	resident     bool
	value, pairs []byte
	lowest       int64 // the first virtual cluster that the pairs map
	highest      int64
	spans        []disk.Extent // of the name and of the value or pairs, ascending
}

// parseAttribute parses the attribute at the start of b.
func parseAttribute(b []byte) (attribute, error) {
	le := binary.LittleEndian
	if len(b) < residentHeader {
		return attribute{}, fmt.Errorf("a header of %d bytes", len(b))
	}
	n := int64(le.Uint32(b[offAttrLen:]))
	if n < residentHeader || n > int64(len(b)) || n%attrAlign != 0 {
		return attribute{}, fmt.Errorf("a length of %d in %d bytes", n, len(b))
	}
	b = b[:n]
	a := attribute{raw: b, kind: le.Uint32(b), flags: le.Uint16(b[offAttrFlags:]), resident: b[offNonResident] == 0}
	if chars := int64(b[offNameLen]); chars > 0 {
		off := int64(le.Uint16(b[offNameOff:]))
		if off < residentHeader || off+2*chars > n {
			return a, fmt.Errorf("a name of %d characters at byte %d of %d", chars, off, n)
		}
		a.name = utf16Name(b[off : off+2*chars])
		a.spans = append(a.spans, disk.Extent{Off: off, Len: 2 * chars})
	}
	if a.resident {
		off, size := int64(le.Uint16(b[offValueOff:])), int64(le.Uint32(b[offValueLen:]))
		if off < residentHeader || off > n || size > n-off {
			return a, fmt.Errorf("a value of %d bytes at byte %d of %d", size, off, n)
		}
		a.value = b[off : off+size]
		a.spans = append(a.spans, disk.Extent{Off: off, Len: size})
		slices.SortFunc(a.spans, byOffset)
		return a, nil
	}
	if n < nonResidentFixed {
		return a, fmt.Errorf("a header of %d bytes", n)
	}
	off := int64(le.Uint16(b[offPairs:]))
	if off < nonResidentFixed || off >= n {
		return a, fmt.Errorf("mapping pairs at byte %d of %d", off, n)
	}
	a.pairs = b[off:]
	a.lowest, a.highest = int64(le.Uint64(b[offLowest:])), int64(le.Uint64(b[offHighest:]))
	size, err := pairsLen(a.pairs)
	a.spans = append(a.spans, disk.Extent{Off: off, Len: size})
	slices.SortFunc(a.spans, byOffset)
	return a, err
}

// dead returns what is dead in the attribute: the bytes that alignment leaves,
// where they are not zero, and the rest of an index root.
func (a attribute) dead() ([]disk.Extent, error) {
	var dead []disk.Extent
	used := a.spans[0].Off // the header is no concern of a leak
	for i := 0; i <= len(a.spans); i++ {
		next := disk.Extent{Off: int64(len(a.raw))}
		if i < len(a.spans) {
			next = a.spans[i]
		}
		dead = append(dead, gap(a.raw, used, next.Off)...)
		used = max(used, next.End())
	}
	if !a.resident || a.kind != attrIndexRoot {
		return dead, nil
	}
	root, err := parseRoot(a.value)
	if err != nil {
		return nil, err
	}
	value := int64(binary.LittleEndian.Uint16(a.raw[offValueOff:]))
	for _, e := range root.dead {
		dead = append(dead, disk.Extent{Off: value + e.Off, Len: e.Len})
	}
	slices.SortFunc(dead, byOffset)
	return dead, nil
}

// byOffset orders extents.
func byOffset(a, b disk.Extent) int { return cmp.Compare(a.Off, b.Off) }

// gap returns the bytes of b from from to to as an extent, none when they are
// zero.
func gap(b []byte, from, to int64) []disk.Extent {
	if from >= to || isZero(b[from:to]) {
		return nil
	}
	return []disk.Extent{{Off: from, Len: to - from}}
}

func isZero(b []byte) bool { return bytes.Count(b, []byte{0}) == len(b) }

// utf16Name decodes a name. A lone surrogate, which NTFS allows, becomes
// U+FFFD.
func utf16Name(b []byte) string {
	chars := make([]uint16, len(b)/2)
	for i := range chars {
		chars[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(chars))
}
