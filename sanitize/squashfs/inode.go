package squashfs

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"time"

	"github.com/imgbuild/imgbuild/sanitize"
)

// Types of inodes, FORMAT SQUASHFS_*_TYPE. The extended ones follow in the same
// order.
const (
	typeDir = 1 + iota
	typeFile
	typeSymlink
	typeBlock
	typeChar
	typePipe
	typeSocket

	extended = 7 // from a type to its extended form
)

const (
	inodeHead = 16
	none32    = ^uint32(0) // no fragment, no attributes
	maxTarget = 64 << 10   // bytes of a symbolic link's target
)

// inode is a decoded inode.
type inode struct {
	kind     int // without [extended]
	mode     uint16
	uid, gid uint32
	mtime    time.Time
	xattrs   uint32
	size     int64
	target   string

	// Of a directory: where its entries are.
	entries reference
	// Of a file: where its blocks begin, its tail, and the list of blocks.
	start      int64
	fragment   uint32
	fragmentAt int64
	list       *cursor
}

// bodyLen is how long the fixed part behind the head is, by type.
var bodyLen = map[int]int{
	typeDir: 16, typeFile: 16, typeSymlink: 8, typeBlock: 8, typeChar: 8, typePipe: 4, typeSocket: 4,
	typeDir + extended: 24, typeFile + extended: 40, typeSymlink + extended: 8, typeBlock + extended: 12, typeChar + extended: 12,
	typePipe + extended: 8, typeSocket + extended: 8,
}

// inode reads the inode at a place of their table.
func (f readable) inode(ref reference) (*inode, error) {
	c, err := f.seek(f.inodes, f.dirs, ref)
	if err != nil {
		return nil, err
	}
	b, err := c.take(inodeHead)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	kind := int(le.Uint16(b))
	length, ok := bodyLen[kind]
	if !ok {
		return nil, fmt.Errorf("an inode has type %d", kind)
	}
	n := &inode{kind: (kind-1)%extended + 1, mode: le.Uint16(b[2:]), mtime: time.Unix(int64(le.Uint32(b[8:])), 0).UTC(), xattrs: none32, fragment: none32}
	for i, to := range []*uint32{&n.uid, &n.gid} {
		id, err := f.entry(f.start(ownerTable), int64(le.Uint16(b[4+2*i:])), f.ids, 4)
		if err != nil {
			return nil, fmt.Errorf("reading an owner: %w", err)
		}
		*to = le.Uint32(id)
	}
	if b, err = c.take(length); err != nil {
		return nil, err
	}
	n.list = c
	return n, n.body(kind, b)
}

// body decodes what is behind the head.
func (n *inode) body(kind int, b []byte) error {
	le := binary.LittleEndian
	switch kind {
	case typeDir:
		n.size, n.entries = int64(le.Uint16(b[8:])), place(le.Uint32(b), le.Uint16(b[10:]))
	case typeDir + extended:
		n.size, n.entries, n.xattrs = int64(le.Uint32(b[4:])), place(le.Uint32(b[8:]), le.Uint16(b[18:])), le.Uint32(b[20:])
	case typeFile:
		n.start, n.fragment, n.fragmentAt, n.size = int64(le.Uint32(b)), le.Uint32(b[4:]), int64(le.Uint32(b[8:])), int64(le.Uint32(b[12:]))
	case typeFile + extended:
		n.start, n.size = int64(le.Uint64(b)), int64(le.Uint64(b[8:]))
		n.fragment, n.fragmentAt, n.xattrs = le.Uint32(b[28:]), int64(le.Uint32(b[32:])), le.Uint32(b[36:])
		if n.start < 0 || n.size < 0 {
			return fmt.Errorf("a file of %d bytes at byte %d", n.size, n.start)
		}
	case typeSymlink, typeSymlink + extended:
		return n.link(kind, le.Uint32(b[4:]))
	case typeBlock + extended, typeChar + extended:
		n.xattrs = le.Uint32(b[8:])
	case typePipe + extended, typeSocket + extended:
		n.xattrs = le.Uint32(b[4:])
	}
	return nil
}

// link reads the target of a symbolic link.
func (n *inode) link(kind int, length uint32) error {
	if length > maxTarget {
		return fmt.Errorf("a target of %d bytes", length)
	}
	b, err := n.list.take(int(length))
	if err != nil {
		return err
	}
	n.target, n.size = string(b), int64(length)
	if kind == typeSymlink {
		return nil
	}
	if b, err = n.list.take(4); err == nil {
		n.xattrs = binary.LittleEndian.Uint32(b)
	}
	return err
}

func place(block uint32, at uint16) reference { return reference(block)<<16 | reference(at) }

// file describes an inode as a path has it.
func (n *inode) file(path string) sanitize.File {
	mode := map[int]fs.FileMode{
		typeDir: fs.ModeDir, typeFile: 0, typeSymlink: fs.ModeSymlink, typeBlock: fs.ModeDevice,
		typeChar: fs.ModeDevice | fs.ModeCharDevice, typePipe: fs.ModeNamedPipe, typeSocket: fs.ModeSocket,
	}[n.kind] | fs.FileMode(n.mode&0o777)
	for bit, m := range map[uint16]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if n.mode&bit != 0 {
			mode |= m
		}
	}
	return sanitize.File{Path: path, Mode: mode, UID: n.uid, GID: n.gid, Size: n.size, ModTime: n.mtime, Target: n.target}
}
