package ext

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/imgbuild/imgbuild/sanitize"
)

// Flags and modes of an inode, DISK section "Index Nodes".
const (
	flagEncrypt  = 0x800
	flagIndex    = 0x1000
	flagExtents  = 0x80000
	flagVerity   = 0x100000
	flagEAInode  = 0x200000
	flagInline   = 0x10000000
	modeMask     = 0xf000
	modeFIFO     = 0x1000
	modeChar     = 0x2000
	modeDir      = 0x4000
	modeBlock    = 0x6000
	modeRegular  = 0x8000
	modeSymlink  = 0xa000
	modeSocket   = 0xc000
	inodeOldSize = 128 // bytes in a record of revision 0
)

// Offsets in an inode record.
const (
	offBlocks       = 0x1c
	offInodeFlags   = 0x20
	offIBlock       = 0x28
	iBlockLen       = 60
	offGeneration   = 0x64
	offACL          = 0x68
	offSizeHigh     = 0x6c
	offACLHigh      = 0x76
	offChecksumLow  = 0x7c
	offExtraSize    = 0x80
	offChecksumHigh = 0x82
	offMtimeExtra   = 0x88
)

// inode is a record in use.
type inode struct {
	num   uint32
	raw   []byte
	mode  uint16
	flags uint32
	size  int64
	acl   int64 // block with extended attributes, 0 for none
	extra int64 // bytes of the record in use behind the first 128
}

// inode reads inode num.
func (f *filesystem) inode(num uint32) (*inode, error) {
	if num == 0 || int64(num) > f.inodes {
		return nil, fmt.Errorf("inode %d of %d", num, f.inodes)
	}
	g, i := (int64(num)-1)/f.inodesPerGroup, (int64(num)-1)%f.inodesPerGroup
	raw := make([]byte, f.inodeSize)
	if err := sanitize.ReadFull(f.r, raw, f.groups[g].inodeTable*f.block+i*f.inodeSize); err != nil {
		return nil, fmt.Errorf("reading inode %d: %w", num, err)
	}
	n := new(inode)
	return n, f.parseInto(n, num, raw)
}

// parseInto parses the record of inode num, which n keeps.
func (f *filesystem) parseInto(n *inode, num uint32, raw []byte) error {
	le := binary.LittleEndian
	*n = inode{num: num, raw: raw, mode: le.Uint16(raw), flags: le.Uint32(raw[offInodeFlags:])}
	n.size = int64(le.Uint32(raw[4:]))
	if kind := n.kind(); kind == modeRegular || kind == modeDir || num < f.firstInode {
		n.size |= int64(le.Uint32(raw[offSizeHigh:])) << 32
	}
	if n.size < 0 {
		return fmt.Errorf("inode %d has a negative size", num)
	}
	n.acl = int64(le.Uint32(raw[offACL:])) | int64(le.Uint16(raw[offACLHigh:]))<<32
	if n.acl != 0 && (n.acl < f.firstData || n.acl >= f.blocks) {
		return fmt.Errorf("inode %d has attributes in block %d of %d", num, n.acl, f.blocks)
	}
	if len(raw) > inodeOldSize {
		n.extra = int64(le.Uint16(raw[offExtraSize:]))
		if n.extra > int64(len(raw))-inodeOldSize || n.extra%4 != 0 {
			return fmt.Errorf("inode %d uses %d extra bytes", num, n.extra)
		}
	}
	return nil
}

func (n *inode) kind() uint16         { return n.mode & modeMask }
func (n *inode) has(flag uint32) bool { return n.flags&flag != 0 }
func (n *inode) iBlock() []byte       { return n.raw[offIBlock : offIBlock+iBlockLen] }

// fastSymlink reports whether the target is stored in the record itself.
func (n *inode) fastSymlink() bool {
	return n.kind() == modeSymlink && !n.has(flagExtents|flagInline|flagEncrypt) && n.size > 0 && n.size < iBlockLen
}

// mapped reports whether i_block leads to blocks.
func (n *inode) mapped() bool {
	switch n.kind() {
	case modeRegular, modeDir:
		return !n.has(flagInline)
	case modeSymlink:
		return !n.has(flagInline) && !n.fastSymlink() && n.size > 0
	case 0:
		return n.num < 11 // the reserved inodes for bad blocks and resizing have no mode
	}
	return false
}

// seed is where checksums of the inode's own metadata start.
func (n *inode) seed(s *super) uint32 {
	return crcUint32(crcUint32(s.seed, n.num), binary.LittleEndian.Uint32(n.raw[offGeneration:]))
}

// permissions are those beyond reading, writing and executing.
var permissions = [...]struct {
	bit  uint16
	mode fs.FileMode
}{{0o4000, fs.ModeSetuid}, {0o2000, fs.ModeSetgid}, {0o1000, fs.ModeSticky}}

// file describes the inode, but for its content and attributes.
func (n *inode) file(path string) (sanitize.File, error) {
	le := binary.LittleEndian
	mode := fs.FileMode(n.mode & 0o777)
	for _, b := range permissions {
		if n.mode&b.bit != 0 {
			mode |= b.mode
		}
	}
	switch n.kind() {
	case modeRegular:
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
	default:
		return sanitize.File{}, errors.New("the inode has no type")
	}
	f := sanitize.File{Path: path, Mode: mode, Size: n.size, ModTime: n.mtime()}
	f.UID = uint32(le.Uint16(n.raw[2:])) | uint32(le.Uint16(n.raw[0x78:]))<<16
	f.GID = uint32(le.Uint16(n.raw[0x18:])) | uint32(le.Uint16(n.raw[0x7a:]))<<16
	return f, nil
}

// mtime decodes the 34-bit time, DISK section "Inode Timestamps".
func (n *inode) mtime() time.Time {
	le := binary.LittleEndian
	sec, nsec := int64(int32(le.Uint32(n.raw[0x10:]))), int64(0)
	if n.extra >= offMtimeExtra+4-inodeOldSize {
		x := le.Uint32(n.raw[offMtimeExtra:])
		sec += int64(x&3) << 32
		nsec = int64(x >> 2)
	}
	return time.Unix(sec, nsec).UTC()
}
