package xfs

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"time"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Layout of an inode record, XADS section "Inode Core".
const (
	inodeMagic    = 0x494e // "IN"
	inodeCore     = 176    // bytes ahead of the forks, version 3
	inodeCoreV2   = 100
	inodeOffSum   = 100
	offExtents    = 24 // of the data fork, with nrext64
	offMtime      = 40
	offSize       = 56
	offNextents   = 76
	offAnextents  = 80
	offForkOff    = 82
	offFlags      = 90
	offGeneration = 92
	offLSN        = 112
	offFlags2     = 120
	offNumber     = 152

	flagRealtime  = 1
	flags2Reflink = 2
	flags2BigTime = 8
	flags2Nrext64 = 0x10
)

// Formats of a fork.
const (
	forkDevice = iota
	forkLocal
	forkExtents
	forkTree
)

// Kinds in di_mode.
const (
	modeMask    = 0xf000
	modeFIFO    = 0x1000
	modeChar    = 0x2000
	modeDir     = 0x4000
	modeBlock   = 0x6000
	modeRegular = 0x8000
	modeSymlink = 0xa000
	modeSocket  = 0xc000
)

// fork is one of the two areas of an inode record behind its core.
type fork struct {
	attr    bool
	format  uint8
	off     int64 // in the record, bytes
	raw     []byte
	extents uint64
}

// inode is a record in use.
type inode struct {
	num    uint64
	raw    []byte
	mode   uint16
	flags2 uint64
	size   int64
	data   fork
	attr   fork // raw is empty without attributes
}

// inode reads inode num.
func (f *filesystem) inode(num uint64) (*inode, error) {
	if _, err := f.chunkOf(num); err != nil {
		return nil, err
	}
	raw := make([]byte, f.inodeSize)
	if err := sanitize.ReadFull(f.r, raw, f.inodeOff(num)); err != nil {
		return nil, fmt.Errorf("reading inode %d: %w", num, err)
	}
	n, err := f.parseInode(num, raw)
	if err != nil {
		return nil, fmt.Errorf("reading inode %d: %w", num, err)
	}
	return n, nil
}

func (f *filesystem) parseInode(num uint64, raw []byte) (*inode, error) {
	be := binary.BigEndian
	n := &inode{num: num, raw: raw, mode: be.Uint16(raw[2:]), size: int64(be.Uint64(raw[offSize:]))}
	core := int64(inodeCoreV2)
	n.data.extents, n.attr.extents = uint64(be.Uint32(raw[offNextents:])), uint64(be.Uint16(raw[offAnextents:]))
	if f.v5 {
		core = inodeCore
		n.flags2 = be.Uint64(raw[offFlags2:])
		if got := be.Uint64(raw[offNumber:]); got != num || raw[4] != 3 {
			return nil, fmt.Errorf("the record is that of inode %d, version %d", got, raw[4])
		}
		if n.flags2&flags2Nrext64 != 0 {
			n.data.extents, n.attr.extents = be.Uint64(raw[offExtents:]), uint64(be.Uint32(raw[offNextents:]))
		}
	}
	attrAt := f.inodeSize
	if off := int64(raw[offForkOff]); off != 0 {
		attrAt = core + off*8
	}
	switch {
	case be.Uint16(raw) != inodeMagic:
		return nil, fmt.Errorf("magic %#x", be.Uint16(raw))
	case n.size < 0:
		return nil, fmt.Errorf("a negative size")
	case attrAt > f.inodeSize:
		return nil, fmt.Errorf("attributes at byte %d of %d", attrAt, f.inodeSize)
	case be.Uint16(raw[offFlags:])&flagRealtime != 0 && n.kind() == modeRegular:
		return nil, fmt.Errorf("its content is on a real-time device")
	}
	n.data.format, n.data.off, n.data.raw = raw[5], core, raw[core:attrAt]
	n.attr.attr, n.attr.format, n.attr.off, n.attr.raw = true, raw[offForkOff+1], attrAt, raw[attrAt:]
	return n, n.checkForks()
}

// checkForks holds the formats of the forks to the kind of the inode.
func (n *inode) checkForks() error {
	if len(n.attr.raw) > 0 && (n.attr.format < forkLocal || n.attr.format > forkTree) {
		return fmt.Errorf("attributes of format %d", n.attr.format)
	}
	ok := false
	switch n.kind() {
	case modeRegular:
		ok = n.data.format == forkExtents || n.data.format == forkTree
	case modeDir, modeSymlink:
		ok = n.data.format >= forkLocal && n.data.format <= forkTree
	case modeFIFO, modeSocket, modeChar, modeBlock:
		ok = n.data.format == forkDevice
	}
	if !ok {
		return fmt.Errorf("mode %#o with content of format %d", n.mode, n.data.format)
	}
	if n.data.format == forkLocal && n.size > int64(len(n.data.raw)) {
		return fmt.Errorf("%d bytes of content in %d", n.size, len(n.data.raw))
	}
	return nil
}

func (n *inode) kind() uint16 { return n.mode & modeMask }

// dead returns what nothing uses in the record: the rest of each fork.
func (n *inode) dead() ([]disk.Extent, error) {
	var dead []disk.Extent
	for _, k := range []fork{n.data, n.attr} {
		if len(k.raw) == 0 {
			continue
		}
		rest, err := k.dead(n.size)
		if err != nil {
			return nil, fmt.Errorf("reading a fork of inode %d: %w", n.num, err)
		}
		for _, d := range rest {
			dead = append(dead, disk.Extent{Off: k.off + d.Off, Len: d.Len})
		}
	}
	return dead, nil
}

// dead returns what nothing uses in a fork. A local data fork is size bytes
// long; local attributes carry their own length.
func (k fork) dead(size int64) ([]disk.Extent, error) {
	var used int64
	switch k.format {
	case forkDevice:
		used = 4
	case forkLocal:
		used = size
		if k.attr {
			_, end, err := parseShortAttrs(k.raw)
			if err != nil {
				return nil, err
			}
			used = end
		}
	case forkExtents:
		if k.extents > uint64(len(k.raw)/recordLen) {
			return nil, fmt.Errorf("%d extents in %d bytes", k.extents, len(k.raw))
		}
		used = int64(k.extents) * recordLen
	case forkTree:
		n, _, err := k.root()
		return n.dead, err
	}
	return []disk.Extent{{Off: used, Len: int64(len(k.raw)) - used}}, nil
}

// freeRecord returns what an inode that is not in use need not keep: all but
// its magic, version, generation and link in the list of unlinked inodes, and
// in version 5 what identifies the record. A record that the kernel has made
// and not yet used looks the same (kernel, xfs_ialloc_inode_init).
func (f *filesystem) freeRecord() []disk.Extent {
	span := func(from, to int64) disk.Extent { return disk.Extent{Off: from, Len: to - from} }
	if !f.v5 {
		return []disk.Extent{span(2, 4), span(5, offGeneration), span(inodeCoreV2, f.inodeSize)}
	}
	return []disk.Extent{
		span(2, 4), span(5, offGeneration), span(inodeOffSum+4, offLSN),
		span(offLSN+8, offNumber), span(inodeCore, f.inodeSize),
	}
}

// file describes the inode, but for its content and attributes.
func (n *inode) file(path string) (sanitize.File, error) {
	be := binary.BigEndian
	mode := fs.FileMode(n.mode & 0o777)
	for _, b := range []struct {
		bit  uint16
		mode fs.FileMode
	}{{0o4000, fs.ModeSetuid}, {0o2000, fs.ModeSetgid}, {0o1000, fs.ModeSticky}} {
		if n.mode&b.bit != 0 {
			mode |= b.mode
		}
	}
	switch n.kind() {
	case modeDir:
		mode |= fs.ModeDir
	case modeSymlink:
		mode |= fs.ModeSymlink
	case modeFIFO:
		mode |= fs.ModeNamedPipe
	case modeSocket:
		mode |= fs.ModeSocket
	case modeChar:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	case modeBlock:
		mode |= fs.ModeDevice
	}
	return sanitize.File{
		Path: path, Mode: mode, Size: n.size, ModTime: n.mtime(),
		UID: be.Uint32(n.raw[8:]), GID: be.Uint32(n.raw[12:]),
	}, nil
}

// mtime decodes a time, XADS section "Timestamps": seconds and nanoseconds, or
// nanoseconds since the smallest time that the former can hold.
func (n *inode) mtime() time.Time {
	raw := n.raw[offMtime:]
	if n.flags2&flags2BigTime != 0 {
		t := binary.BigEndian.Uint64(raw)
		return time.Unix(int64(t/1e9)-1<<31, int64(t%1e9)).UTC()
	}
	return time.Unix(int64(int32(binary.BigEndian.Uint32(raw))), int64(binary.BigEndian.Uint32(raw[4:]))).UTC()
}
