package erofs

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"time"

	"github.com/imgbuild/imgbuild/sanitize"
)

// Data layouts, FORMAT enum of EROFS_INODE_*.
const (
	layoutPlain   = 0
	layoutFull    = 1 // compressed, indices of 8 bytes
	layoutInline  = 2
	layoutCompact = 3 // compressed, indices of 2 or 4 bytes
	layoutChunks  = 4
)

const (
	inodeSlot     = 32 // inode numbers count slots
	inodeCompact  = 32
	inodeExtended = 64

	modeMask    = 0xf000
	modeDir     = 0x4000
	modeRegular = 0x8000
	modeSymlink = 0xa000
)

// inode is a decoded inode.
type inode struct {
	nid      uint64
	off, len int64 // where it lies; len without attributes
	xattrs   int64 // bytes of attributes behind it
	layout   int
	mode     uint16
	size     int64
	u        uint32 // i_u: block address, device, or chunk format
	uid, gid uint32
	mtime    time.Time
}

func (f *filesystem) inode(nid uint64) (*inode, error) {
	if nid > uint64(f.size/inodeSlot) {
		return nil, fmt.Errorf("inode %d lies outside", nid)
	}
	n := &inode{nid: nid, off: f.meta + int64(nid)*inodeSlot, len: inodeCompact}
	b, err := f.read(n.off, inodeCompact)
	if err != nil {
		return nil, fmt.Errorf("reading inode %d: %w", nid, err)
	}
	le := binary.LittleEndian
	format := le.Uint16(b)
	n.layout, n.mode = int(format>>1&7), le.Uint16(b[4:])
	if count := int64(le.Uint16(b[2:])); count > 0 {
		n.xattrs = xattrHeader + 4*(count-1)
	}
	if format&1 == 0 {
		n.size, n.u = int64(le.Uint32(b[8:])), le.Uint32(b[16:])
		n.uid, n.gid = uint32(le.Uint16(b[24:])), uint32(le.Uint16(b[26:]))
		n.mtime = time.Unix(f.buildTime, f.buildNsec).UTC()
		return n, nil
	}
	n.len = inodeExtended
	if b, err = f.read(n.off, inodeExtended); err != nil {
		return nil, fmt.Errorf("reading inode %d: %w", nid, err)
	}
	n.size, n.u = int64(le.Uint64(b[8:])), le.Uint32(b[16:])
	n.uid, n.gid = le.Uint32(b[24:]), le.Uint32(b[28:])
	n.mtime = time.Unix(int64(le.Uint64(b[32:])), int64(le.Uint32(b[40:]))).UTC()
	if n.size < 0 {
		return nil, fmt.Errorf("inode %d has a negative size", nid)
	}
	return n, nil
}

func (n *inode) kind() uint16 { return n.mode & modeMask }

// body is where what follows the inode and its attributes begins.
func (n *inode) body() int64 { return n.off + n.len + n.xattrs }

// hasData reports whether the inode has content: devices, pipes and sockets
// have none.
func (n *inode) hasData() bool {
	k := n.kind()
	return k == modeRegular || k == modeDir || k == modeSymlink
}

func (n *inode) file(path string) (sanitize.File, error) {
	types := map[uint16]fs.FileMode{
		0x1000: fs.ModeNamedPipe, 0x2000: fs.ModeDevice | fs.ModeCharDevice, modeDir: fs.ModeDir,
		0x6000: fs.ModeDevice, modeRegular: 0, modeSymlink: fs.ModeSymlink, 0xc000: fs.ModeSocket,
	}
	mode, ok := types[n.kind()]
	if !ok {
		return sanitize.File{}, fmt.Errorf("inode %d has mode %#o", n.nid, n.mode)
	}
	mode |= fs.FileMode(n.mode & 0o777)
	for bit, m := range map[uint16]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if n.mode&bit != 0 {
			mode |= m
		}
	}
	return sanitize.File{Path: path, Mode: mode, UID: n.uid, GID: n.gid, Size: n.size, ModTime: n.mtime}, nil
}
