package ext

import (
	"encoding/binary"

	"github.com/imgbuild/imgbuild/disk"
)

// deviceLen is how much of i_block a device number takes: the old form, the new
// form and a zero (kernel, ext4_do_update_inode).
const deviceLen = 12

// extraLen is how much the length of the extra fields and the checksum behind
// it take.
const extraLen = 4

// deadInRecord appends to dead what is dead in the record of n, ascending,
// relative to its start: words of i_block that n has no use for, and what
// follows its extra fields, but for attributes.
func (f *filesystem) deadInRecord(n *inode, dead []disk.Extent) ([]disk.Extent, error) {
	area, ok, err := n.xattrBody()
	if err != nil {
		return nil, err
	}
	if n.kind() == modeDir && n.has(flagInline) {
		gaps, err := f.entries(n, n.iBlock()[inlineParent:], func(dirent) {})
		if err != nil {
			return nil, err
		}
		dead = append(dead, shift(gaps, offIBlock+inlineParent)...)
	} else if used := n.usedWords(); used < iBlockLen {
		dead = append(dead, disk.Extent{Off: offIBlock + used, Len: iBlockLen - used})
	}
	// The length of the extra fields is the first of them.
	start, end := inodeOldSize+max(n.extra, extraLen), int64(len(n.raw))
	switch {
	case !ok && start < end:
		dead = append(dead, disk.Extent{Off: start, Len: end - start})
	case ok:
		if area.values > area.gap {
			dead = append(dead, disk.Extent{Off: area.gap, Len: area.values - area.gap})
		}
		more, err := f.deadInline(n, area)
		if err != nil {
			return nil, err
		}
		dead = append(dead, more...)
	}
	return dead, nil
}

// usedWords returns how many bytes of i_block n uses.
func (n *inode) usedWords() int64 {
	switch {
	case n.fastSymlink():
		return n.size
	case n.kind() == modeRegular && n.has(flagInline):
		return min(n.size, iBlockLen)
	case n.kind() == modeChar || n.kind() == modeBlock:
		return deviceLen
	case n.kind() == modeFIFO || n.kind() == modeSocket:
		return 0
	case n.kind() != 0 && n.mapped() && n.has(flagExtents):
		entries := int64(binary.LittleEndian.Uint16(n.iBlock()[2:]))
		return min(extentHeader+entries*extentEntry, iBlockLen)
	}
	return iBlockLen
}

// deadInline returns what is dead in the part of inline data that is stored as
// an attribute.
func (f *filesystem) deadInline(n *inode, area xattrArea) ([]disk.Extent, error) {
	for _, x := range area.attrs {
		if x.name != xattrInlineData || !n.has(flagInline) || len(x.value) == 0 {
			continue
		}
		if n.kind() == modeDir {
			gaps, err := f.entries(n, x.value, func(dirent) {})
			return shift(gaps, x.at), err
		}
		if used := max(n.size-iBlockLen, 0); used < int64(len(x.value)) {
			return []disk.Extent{{Off: x.at + used, Len: int64(len(x.value)) - used}}, nil
		}
	}
	return nil, nil
}

// shift moves extents by some bytes.
func shift(extents []disk.Extent, by int64) []disk.Extent {
	for i := range extents {
		extents[i].Off += by
	}
	return extents
}
