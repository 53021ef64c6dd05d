package xfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Layout of extended attributes, XADS section "Extended Attributes".
const (
	attrLeafMagic   = 0xfbee
	attrLeafMagicV5 = 0x3bee
	attrSlot        = 8
	attrLocalHead   = 3 // length of the value, length of the name
	attrRemoteHead  = 9 // block and length of the value, length of the name
	attrAlign       = 4
	maxValue        = 64 << 10 // XATTR_SIZE_MAX of Linux

	attrLocal      = 0x01
	attrRoot       = 0x02
	attrSecure     = 0x04
	attrParent     = 0x08
	attrIncomplete = 0x80
)

// Header of a block of a remote value or of a remote symbolic link, version 5.
const (
	remoteHeader      = 56
	remoteOffBytes    = 8
	remoteOffSum      = 12
	remoteMagic       = 0x5841524d // "XARM"
	remoteMagicTarget = 0x58534c4d // "XSLM"
)

// attr is one attribute. The value is in the same area, or size bytes long in
// blocks of the fork from block on.
type attr struct {
	flags       byte
	name        string
	value       []byte
	remote      bool
	block, size int64
}

// fullName is the name as Linux shows it; ok is false for what it hides.
func (a attr) fullName() (name string, ok bool) {
	switch {
	case a.flags&(attrParent|attrIncomplete) != 0:
		return "", false
	case a.flags&attrRoot != 0:
		return "trusted." + a.name, true
	case a.flags&attrSecure != 0:
		return "security." + a.name, true
	}
	return "user." + a.name, true
}

// parseShortAttrs parses attributes within an inode. They end at byte end.
func parseShortAttrs(b []byte) (attrs []attr, end int64, err error) {
	const header, entry = 4, 3
	if len(b) < header {
		return nil, 0, fmt.Errorf("no room for attributes")
	}
	total, off := int(binary.BigEndian.Uint16(b)), header
	if total < header || total > len(b) {
		return nil, 0, fmt.Errorf("attributes of %d bytes in %d", total, len(b))
	}
	for range b[2] {
		if off+entry > total {
			return nil, 0, fmt.Errorf("an attribute at byte %d is cut off", off)
		}
		name, value := int(b[off]), int(b[off+1])
		if name+value > total-off-entry {
			return nil, 0, fmt.Errorf("an attribute at byte %d is cut off", off)
		}
		a := attr{flags: b[off+2]}
		off += entry
		a.name, a.value = string(b[off:off+name]), b[off+name:off+name+value]
		attrs = append(attrs, a)
		off += name + value
	}
	return attrs, int64(off), nil
}

// attrLeaf parses a leaf of attributes and returns what is dead in it: all
// that no name or value covers.
func (f *filesystem) attrLeaf(b []byte) ([]attr, []disk.Extent, error) {
	be, head, at := binary.BigEndian, int64(32), 12
	if f.v5 {
		head, at = 80, 56
	}
	count, end := int64(be.Uint16(b[at:])), int64(len(b))
	first := head + count*attrSlot
	if first > end {
		return nil, nil, fmt.Errorf("%d attributes in a block", count)
	}
	var attrs []attr
	var used []disk.Extent
	for i := range count {
		slot := b[head+i*attrSlot:]
		a, e, err := parseAttr(b, int64(be.Uint16(slot[4:])), slot[6])
		if err != nil {
			return nil, nil, err
		}
		attrs, used = append(attrs, a), append(used, e)
	}
	slices.SortFunc(used, func(a, b disk.Extent) int { return int(a.Off - b.Off) })
	var dead []disk.Extent
	for _, e := range used {
		if e.Off < first {
			return nil, nil, fmt.Errorf("attributes overlap at byte %d", e.Off)
		}
		dead = append(dead, disk.Extent{Off: first, Len: e.Off - first})
		first = e.End()
	}
	return attrs, append(dead, disk.Extent{Off: first, Len: end - first}), nil
}

// parseAttr reads the name, and the value if it is here, at byte at of leaf b.
// used does not include the padding behind it.
func parseAttr(b []byte, at int64, flags byte) (a attr, used disk.Extent, err error) {
	be, end := binary.BigEndian, int64(len(b))
	cut := fmt.Errorf("an attribute at byte %d is cut off", at)
	a.flags = flags
	if flags&attrLocal != 0 {
		if at+attrLocalHead > end {
			return a, used, cut
		}
		size, name, from := int64(be.Uint16(b[at:])), int64(b[at+2]), at+attrLocalHead
		if name+size > end-from {
			return a, used, cut
		}
		a.name, a.value = string(b[from:from+name]), b[from+name:from+name+size]
		return a, disk.Extent{Off: at, Len: attrLocalHead + name + size}, nil
	}
	if at+attrRemoteHead > end || at+attrRemoteHead+int64(b[at+8]) > end {
		return a, used, cut
	}
	a.remote, a.block, a.size = true, int64(be.Uint32(b[at:])), int64(be.Uint32(b[at+4:]))
	name := int64(b[at+8])
	a.name = string(b[at+attrRemoteHead : at+attrRemoteHead+name])
	if a.size > maxValue {
		return a, used, fmt.Errorf("attribute %s has %d bytes", a.name, a.size)
	}
	return a, disk.Extent{Off: at, Len: attrRemoteHead + name}, nil
}

// attrReader reads the attributes of one inode that has a map for them.
type attrReader struct {
	ctx   context.Context
	f     *filesystem
	m     fileMap
	seen  visited // by logical block
	attrs []attr
	units []unit
}

// attributes reads all attributes of n, and the units they are stored in.
func (f *filesystem) attributes(ctx context.Context, n *inode, m fileMap) ([]attr, []unit, error) {
	switch {
	case len(n.attr.raw) == 0:
		return nil, nil, nil
	case n.attr.format == forkLocal:
		attrs, _, err := parseShortAttrs(n.attr.raw)
		return attrs, nil, err
	case len(m.runs) == 0:
		return nil, nil, nil
	}
	r := attrReader{ctx: ctx, f: f, m: m, seen: visited{}}
	if err := r.block(0, 0); err != nil {
		return nil, nil, err
	}
	for i := range r.attrs {
		if a := &r.attrs[i]; a.remote && a.size > 0 && a.flags&attrIncomplete == 0 {
			if err := r.value(a); err != nil {
				return nil, nil, fmt.Errorf("reading attribute %s: %w", a.name, err)
			}
		}
	}
	return r.attrs, r.units, nil
}

// read reads the block of the fork at logical, which belongs to one owner.
func (r *attrReader) read(logical int64) ([]byte, disk.Extent, error) {
	if err := r.ctx.Err(); err != nil {
		return nil, disk.Extent{}, err
	}
	phys, ok := r.m.physical(logical)
	if _, twice := r.seen[logical]; !ok || twice {
		return nil, disk.Extent{}, fmt.Errorf("block %d is not mapped, or used twice", logical)
	}
	r.seen[logical] = struct{}{}
	b, at := make([]byte, r.f.block), disk.Extent{Off: phys * r.f.block, Len: r.f.block}
	return b, at, sanitize.ReadFull(r.f.r, b, at.Off)
}

// block reads a leaf, or a node and what is below it.
func (r *attrReader) block(logical int64, depth int) error {
	if depth > daLevels {
		return fmt.Errorf("attributes have more than %d levels", daLevels)
	}
	b, at, err := r.read(logical)
	if err != nil {
		return err
	}
	u := unit{at: []disk.Extent{at}, sum: r.f.sum(daOffSum)}
	be := binary.BigEndian
	switch magic := be.Uint16(b[daOffMagic:]); {
	case !r.f.v5 && magic == attrLeafMagic || r.f.v5 && magic == attrLeafMagicV5:
		var attrs []attr
		if attrs, u.dead, err = r.f.attrLeaf(b); err != nil {
			return err
		}
		r.attrs = append(r.attrs, attrs...)
	case !r.f.v5 && magic == nodeMagic || r.f.v5 && magic == nodeMagicV:
		if u.dead, err = r.f.hashIndex(b); err != nil {
			return err
		}
		head, count := r.f.daHeader()
		for i := range int64(be.Uint16(b[count:])) {
			if err := r.block(int64(be.Uint32(b[head+i*daSlot+4:])), depth+1); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("attribute block %d has magic %#x", logical, magic)
	}
	r.units = append(r.units, u)
	return nil
}

// value reads a remote value. In version 5 each of its blocks has a header.
func (r *attrReader) value(a *attr) error {
	head := int64(0)
	if r.f.v5 {
		head = remoteHeader
	}
	for logical := a.block; int64(len(a.value)) < a.size; logical++ {
		b, at, err := r.read(logical)
		if err != nil {
			return err
		}
		n := min(a.size-int64(len(a.value)), r.f.block-head)
		if r.f.v5 && (binary.BigEndian.Uint32(b) != remoteMagic || int64(binary.BigEndian.Uint32(b[remoteOffBytes:])) != n) {
			return fmt.Errorf("block %d does not hold %d bytes of it", logical, n)
		}
		a.value = append(a.value, b[head:head+n]...)
		dead := []disk.Extent{{Off: head + n, Len: r.f.block - head - n}}
		r.units = append(r.units, unit{at: []disk.Extent{at}, dead: dead, sum: r.f.sum(remoteOffSum)})
	}
	a.value = bytes.Clone(a.value)
	return nil
}
