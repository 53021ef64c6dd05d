package ext

import (
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/sanitize"
)

// Layout of extended attributes, DISK section "Extended Attributes".
const (
	xattrMagic       = 0xea020000
	xattrBlockHeader = 32
	xattrIbodyHeader = 4
	xattrOffSum      = 0x10 // of the checksum in a block's header
	xattrEntry       = 16
	xattrInlineData  = "system.data"
)

// xattr is one attribute. The value is in the same area, or all of inode num.
type xattr struct {
	name  string
	value []byte
	at    int64 // where value begins in the area
	num   uint32
	size  int64
}

// xattrArea is a parsed attribute area; [gap, values) in it is dead.
type xattrArea struct {
	attrs       []xattr
	gap, values int64
}

// xattrPrefixes are indexed by e_name_index.
var xattrPrefixes = [...]string{
	1: "user.", 2: "system.posix_acl_access", 3: "system.posix_acl_default",
	4: "trusted.", 6: "security.", 7: "system.", 8: "system.richacl",
}

// parseXattrs parses an area whose entries begin at start. Values are found
// relative to base.
func parseXattrs(b []byte, start, base int64) (xattrArea, error) {
	le, end := binary.LittleEndian, int64(len(b))
	area := xattrArea{values: end}
	off := start
	for {
		if off+4 > end {
			return area, fmt.Errorf("attributes have no end mark")
		}
		if le.Uint32(b[off:]) == 0 {
			break
		}
		if off+xattrEntry > end {
			return area, fmt.Errorf("an attribute at byte %d is cut off", off)
		}
		e := b[off:]
		nameLen := int64(e[0])
		next := off + (xattrEntry+nameLen+3)&^3
		if next > end {
			return area, fmt.Errorf("an attribute at byte %d is cut off", off)
		}
		a := xattr{name: string(e[xattrEntry : xattrEntry+nameLen]), num: le.Uint32(e[4:]), size: int64(le.Uint32(e[8:]))}
		if i := int(e[1]); i < len(xattrPrefixes) {
			a.name = xattrPrefixes[i] + a.name
		}
		if a.num == 0 && a.size > 0 {
			at := base + int64(le.Uint16(e[2:]))
			if at < next || a.size > end-at {
				return area, fmt.Errorf("the value of attribute %s lies outside", a.name)
			}
			a.at, a.value = at, b[at:at+a.size]
			area.values = min(area.values, at)
		}
		area.attrs = append(area.attrs, a)
		off = next
	}
	area.gap = off + 4
	if area.gap > area.values {
		return area, fmt.Errorf("attributes and their values overlap")
	}
	return area, nil
}

// xattrBlock reads the attribute block at phys.
func (f *filesystem) xattrBlock(phys int64) (xattrArea, []byte, error) {
	b := make([]byte, f.block)
	if err := sanitize.ReadFull(f.r, b, phys*f.block); err != nil {
		return xattrArea{}, nil, err
	}
	if binary.LittleEndian.Uint32(b) != xattrMagic {
		return xattrArea{}, nil, fmt.Errorf("attribute block %d has no magic", phys)
	}
	area, err := parseXattrs(b, xattrBlockHeader, 0)
	if err != nil {
		return xattrArea{}, nil, fmt.Errorf("reading attribute block %d: %w", phys, err)
	}
	return area, b, nil
}

// xattrBody parses the attributes inside the record of n. Its offsets are
// relative to the record. ok is false when there are none.
func (n *inode) xattrBody() (area xattrArea, ok bool, err error) {
	start := inodeOldSize + n.extra
	if int64(len(n.raw)) < start+xattrIbodyHeader || n.extra == 0 || binary.LittleEndian.Uint32(n.raw[start:]) != xattrMagic {
		return xattrArea{}, false, nil
	}
	first := start + xattrIbodyHeader
	area, err = parseXattrs(n.raw, first, first)
	if err != nil {
		return xattrArea{}, false, fmt.Errorf("reading the attributes of inode %d: %w", n.num, err)
	}
	return area, true, nil
}
