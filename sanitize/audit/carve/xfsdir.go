package carve

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Directory blocks of XFS (kernel, fs/xfs/libxfs/xfs_da_format.h).
const (
	xfsDirBlock   = 4096   // bytes; mkfs.xfs makes no others unless told to
	xfsDirHeader  = 64     // bytes of the header of version 5
	xfsDirHeader4 = 16     // bytes of that of version 4
	xfsDirFree    = 0xffff // tag of unused space
	xfsDirNames   = 8      // names that the detail quotes
)

// measureXFSDirectory looks for entries in a block of a directory. Each ends
// with the offset where it begins, and so does what is left of a deleted one: a
// deletion overwrites the first bytes only, and freeing the block nothing.
func measureXFSDirectory(v *View) (Found, bool) {
	b := v.Bytes(0, xfsDirBlock)
	if b == nil {
		return none()
	}
	off, kind := xfsDirHeader, 1
	if string(b[:3]) == "XD2" {
		off, kind = xfsDirHeader4, 0
	}
	be := binary.BigEndian
	var names []string
	count := 0
	for off+16 <= len(b) {
		// The kind of a file stands behind its name in version 5, and in
		// version 4 if the filesystem says so.
		n, name := xfsDirEntry(b, off, kind)
		if n == 0 && kind == 0 {
			n, name = xfsDirEntry(b, off, 1)
		}
		switch {
		case n > 0:
			if name != "." && name != ".." {
				if count++; len(names) < xfsDirNames {
					names = append(names, name)
				}
			}
			off += n
		case be.Uint16(b[off:]) == xfsDirFree || count > 0:
			off += 8
		default:
			off = len(b)
		}
	}
	if count == 0 {
		return none()
	}
	return Found{Size: xfsDirBlock, Confidence: High, Detail: fmt.Sprintf("%d names: %s", count, strings.Join(names, ", "))}, true
}

// xfsDirEntry returns the length and the name of the entry at byte off of the
// block, whose kind takes so many bytes; 0 when there is none.
func xfsDirEntry(b []byte, off, kind int) (n int, name string) {
	const number, tag = 8, 2
	length := int(b[off+number])
	n = (number + 1 + length + kind + tag + 7) &^ 7
	if length == 0 || off+n > len(b) || int(binary.BigEndian.Uint16(b[off+n-tag:])) != off {
		return 0, ""
	}
	return n, label(b[off+number+1:][:length])
}
