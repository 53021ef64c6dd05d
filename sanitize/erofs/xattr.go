package erofs

import (
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
)

// Layout of extended attributes, FORMAT struct erofs_xattr_ibody_header and
// erofs_xattr_entry.
const (
	xattrHeader = 12
	xattrEntry  = 4
	xattrUnit   = 4 // entries are aligned to it, and shared ones counted in it
	xattrCount  = 4 // offset of the number of shared attributes
)

// xattr is one attribute and where it lies.
type xattr struct {
	name  string
	value []byte
	disk.Extent
	shared bool
}

// attributes reads the attributes of n, shared ones included.
func (f *filesystem) attributes(n *inode) ([]xattr, error) {
	if n.xattrs == 0 {
		return nil, nil
	}
	at := n.off + n.len
	b, err := f.read(at, n.xattrs)
	if err != nil {
		return nil, err
	}
	shared := int64(b[xattrCount])
	if xattrHeader+shared*xattrUnit > n.xattrs {
		return nil, fmt.Errorf("%d shared attributes in %d bytes", shared, n.xattrs)
	}
	var all []xattr
	for i := range shared {
		id := int64(binary.LittleEndian.Uint32(b[xattrHeader+i*xattrUnit:]))
		a, err := f.attribute(f.shared+id*xattrUnit, f.size)
		if err != nil {
			return nil, err
		}
		a.shared = true
		all = append(all, a)
	}
	for off := at + xattrHeader + shared*xattrUnit; off+xattrEntry <= at+n.xattrs; {
		a, err := f.attribute(off, at+n.xattrs)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
		off += roundUp(a.Len, xattrUnit)
	}
	return all, nil
}

// xattrPrefixes are indexed by e_name_index.
var xattrPrefixes = [...]string{
	1: "user.", 2: "system.posix_acl_access", 3: "system.posix_acl_default",
	4: "trusted.", 5: "lustre.", 6: "security.",
}

// attribute reads the entry at off, which ends before end.
func (f *filesystem) attribute(off, end int64) (xattr, error) {
	h, err := f.read(off, xattrEntry)
	if err != nil {
		return xattr{}, err
	}
	name, value := int64(h[0]), int64(binary.LittleEndian.Uint16(h[2:]))
	e := disk.Extent{Off: off, Len: xattrEntry + name + value}
	if e.End() > end {
		return xattr{}, fmt.Errorf("an attribute at byte %d does not end", off)
	}
	b, err := f.read(off+xattrEntry, name+value)
	if err != nil {
		return xattr{}, err
	}
	a := xattr{name: string(b[:name]), value: b[name:], Extent: e}
	if i := int(h[1]); i < len(xattrPrefixes) {
		a.name = xattrPrefixes[i] + a.name
	}
	return a, nil
}
