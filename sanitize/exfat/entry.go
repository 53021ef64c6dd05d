package exfat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unicode/utf16"
)

// dirEntry is the size of a directory entry, in bytes.
const dirEntry = 32

// Types of entries in use and bits of a type, SPEC sections 6.2.1 and 7.
const (
	typeEnd       = 0x00 // the end mark; nothing is in use behind it
	typeBitmap    = 0x81
	typeUpcase    = 0x82
	typeLabel     = 0x83
	typeFile      = 0x85
	typePadding   = 0xa1 // of TexFAT
	typeStream    = 0xc0
	typeName      = 0xc1
	typeVendor    = 0xe1 // vendor allocation
	typeInUse     = 0x80
	typeSecondary = 0x40
	typeBenign    = 0x20
)

// Offsets in entries, SPEC sections 6 and 7.
const (
	offCount        = 1 // of secondary entries; of characters in a label
	offSetSum       = 2
	offAttributes   = 4
	offCreated      = 8
	offModified     = 12
	offModified10ms = 21
	offModifiedZone = 23
	offTimesEnd     = 25
	offStreamFlags  = 1
	offNameLen      = 3
	offValidLen     = 8
	offFirstCluster = 20
	offDataLen      = 24
	offChars        = 2
	nameChars       = 15
	labelChars      = 11
	flagContiguous  = 2
	attrReadOnly    = 1
	attrDir         = 0x10
)

// slot is an entry with its place in the volume.
type slot struct {
	off int64
	raw [dirEntry]byte
}

// set is a file or directory: a file entry with its secondary entries.
type set struct {
	slots []slot
	allocation
	name   string
	names  int // name entries, behind the first two
	rest   int // characters in the last of them that are behind the name
	vendor []allocation
}

func (s *set) attributes() uint16 {
	return binary.LittleEndian.Uint16(s.slots[0].raw[offAttributes:])
}

func (s *set) isDir() bool { return s.attributes()&attrDir != 0 }

// sum is the checksum of the set without its own field, SPEC section 6.3.3.
func (s *set) sum() (sum uint16) {
	for n, e := range s.slots {
		for i, c := range e.raw {
			if n == 0 && (i == offSetSum || i == offSetSum+1) {
				continue
			}
			sum = sum<<15 | sum>>1
			sum += uint16(c)
		}
	}
	return sum
}

// parseSet parses a file entry with its secondary entries.
func parseSet(slots []slot) (*set, error) {
	s := &set{slots: slots}
	le := binary.LittleEndian
	if le.Uint16(slots[0].raw[offSetSum:]) != s.sum() {
		return nil, refused(fmt.Sprintf("the checksum of the entries at byte %d does not hold", slots[0].off))
	}
	if len(slots) < 3 || slots[1].raw[0] != typeStream {
		return nil, errors.New("a file entry without a stream extension and a name")
	}
	stream := slots[1].raw[:]
	s.allocation = parseAllocation(stream, int64(le.Uint64(stream[offValidLen:])))
	chars := int(stream[offNameLen])
	s.names = (chars + nameChars - 1) / nameChars
	s.rest = s.names*nameChars - chars
	if chars == 0 || 2+s.names > len(slots) {
		return nil, fmt.Errorf("a name of %d characters in %d entries", chars, len(slots))
	}
	var name []uint16
	for i, e := range slots[2:] {
		switch kind := e.raw[0]; {
		case i < s.names && kind == typeName:
			for at := offChars; at < dirEntry; at += 2 {
				name = append(name, le.Uint16(e.raw[at:]))
			}
		case i < s.names || kind&typeBenign == 0:
			return nil, fmt.Errorf("entry %d of a file has type %#x", i+2, kind)
		case kind == typeVendor:
			s.vendor = append(s.vendor, parseAllocation(e.raw[:], int64(le.Uint64(e.raw[offDataLen:]))))
		}
	}
	s.name = string(utf16.Decode(name[:chars]))
	return s, nil
}

// parseAllocation reads where the content of e is.
func parseAllocation(e []byte, valid int64) allocation {
	return allocation{
		first:      binary.LittleEndian.Uint32(e[offFirstCluster:]),
		contiguous: e[0] >= typeStream && e[offStreamFlags]&flagContiguous != 0,
		size:       int64(binary.LittleEndian.Uint64(e[offDataLen:])),
		valid:      valid,
	}
}

// tail returns what the last name entry holds behind the name.
func (s *set) tail() []byte {
	return s.slots[1+s.names].raw[dirEntry-2*s.rest:]
}

// modified returns the time of the last write, SPEC section 7.4.8. Without a
// zone it is taken as UTC.
func (s *set) modified() time.Time {
	e := s.slots[0].raw[:]
	t := binary.LittleEndian.Uint32(e[offModified:])
	zone := time.UTC
	if z := e[offModifiedZone]; z&0x80 != 0 {
		quarters := int(int8(z<<1)) >> 1
		zone = time.FixedZone("", quarters*15*60)
	}
	hundredths := time.Duration(e[offModified10ms]) * 10 * time.Millisecond
	return time.Date(1980+int(t>>25), time.Month(t>>21&15), int(t>>16&31), int(t>>11&31), int(t>>5&63), int(t&31)*2, 0, zone).Add(hundredths).UTC()
}
