package carve

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// measureExtSuper checks a superblock of ext2, ext3 or ext4 (kernel,
// Documentation/filesystems/ext4, "The Super Block").
func measureExtSuper(v *View) (Found, bool) {
	le := binary.LittleEndian
	b := v.Bytes(0, 1024)
	if b == nil {
		return none()
	}
	shift, rev, perGroup := le.Uint32(b[24:]), le.Uint32(b[76:]), le.Uint32(b[32:])
	if shift > 6 || rev > 1 || perGroup == 0 || perGroup > 8<<(10+shift) || le.Uint16(b[58:]) == 0 || le.Uint32(b) == 0 {
		return none()
	}
	size := (uint64(le.Uint32(b[4:])) | uint64(le.Uint32(b[336:]))<<32) << (10 + shift)
	return filesystem(1024, fmt.Sprintf("%d bytes", size), label(b[120:136]))
}

// filesystem is the result for a superblock.
func filesystem(n int64, about, name string) (Found, bool) {
	f := Found{Size: n, Confidence: High, Detail: about}
	if name != "" {
		f.Detail = strings.TrimPrefix(about+", label "+name, ", ")
	}
	return f, true
}

// label is a padded name.
func label(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	if !IsText(b) {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// measureXFSSuper checks the first fields of a superblock (XFS Algorithms &
// Data Structures, "Superblocks").
func measureXFSSuper(v *View) (Found, bool) {
	be := binary.BigEndian
	b := v.Bytes(0, 264)
	if b == nil || be.Uint32(b[4:]) < 512 || be.Uint32(b[4:]) > 65536 || be.Uint64(b[8:]) == 0 {
		return none()
	}
	return filesystem(512, fmt.Sprintf("%d bytes", be.Uint64(b[8:])*uint64(be.Uint32(b[4:]))), label(b[108:120]))
}

// measureBtrfsSuper checks a superblock (btrfs on-disk format).
func measureBtrfsSuper(v *View) (Found, bool) {
	le := binary.LittleEndian
	b := v.Bytes(0, 0x22b)
	if b == nil || le.Uint32(b[0x90:]) < 512 {
		return none()
	}
	return filesystem(4096, fmt.Sprintf("%d bytes", le.Uint64(b[0x70:])), label(v.Bytes(0x12b, 256)))
}

// measureBoot checks a boot sector of NTFS, exFAT or FAT.
func measureBoot(v *View) (Found, bool) {
	b := v.Bytes(0, 512)
	if b == nil || b[510] != 0x55 || b[511] != 0xaa || b[0] != 0xeb && b[0] != 0xe9 {
		return none()
	}
	switch {
	case string(b[3:11]) == "EXFAT   ", string(b[3:11]) == "NTFS    ":
		return filesystem(512, "", "")
	case string(b[82:87]) == "FAT32":
		return filesystem(512, "FAT32", label(b[71:82]))
	}
	return filesystem(512, label(b[54:62]), label(b[43:54]))
}

// measureNamed accepts what its anchor says.
func measureNamed(size int64) func(v *View) (Found, bool) {
	return func(v *View) (Found, bool) {
		if v.Len() < size {
			return none()
		}
		return found(size, Medium)
	}
}

// measureLUKS reads the version (LUKS1 and LUKS2 on-disk formats).
func measureLUKS(v *View) (Found, bool) {
	b := v.Bytes(0, 512)
	if b == nil {
		return none()
	}
	version := binary.BigEndian.Uint16(b[6:])
	if version != 1 && version != 2 {
		return none()
	}
	return filesystem(4096, fmt.Sprintf("version %d", version), "")
}

// measureErofsSuper and measureSquashSuper check the two read-only ones.
func measureErofsSuper(v *View) (Found, bool) {
	b := v.Bytes(0, 128)
	if b == nil || b[12] < 9 || b[12] > 16 {
		return none()
	}
	return filesystem(128, "", label(b[64:80]))
}

func measureSquashSuper(v *View) (Found, bool) {
	le := binary.LittleEndian
	b := v.Bytes(0, 96)
	if b == nil || le.Uint16(b[28:]) != 4 || le.Uint64(b[40:]) > 1<<60 {
		return none()
	}
	return fits(v, int64(le.Uint64(b[40:])))
}

// measureISO reads the size of a volume (ECMA-119, section 8.4).
func measureISO(v *View) (Found, bool) {
	const before = 32768
	le := binary.LittleEndian
	b := v.Bytes(0, 256)
	if b == nil || v.Before() < before {
		return none()
	}
	n := int64(le.Uint32(b[80:])) * int64(le.Uint16(b[128:]))
	if n <= before {
		return none()
	}
	f := Found{Back: before, Size: n, Confidence: High, Detail: label(b[40:72])}
	if n-before > v.Len() {
		f.Size, f.Confidence = before+v.Len(), Medium
	}
	return f, true
}

// measureQcow2 checks the header of an image in the image.
func measureQcow2(v *View) (Found, bool) {
	b := v.Bytes(0, 72)
	if b == nil || binary.BigEndian.Uint32(b[4:]) != 2 && binary.BigEndian.Uint32(b[4:]) != 3 {
		return none()
	}
	return found(72, Medium)
}

// measureDirectory follows the entries of the first block of an ext directory
// to its end (kernel, Documentation/filesystems/ext4, "Directory Entries").
func measureDirectory(v *View) (Found, bool) {
	le := binary.LittleEndian
	var names []string
	for off := int64(0); ; {
		h := v.Bytes(off, 8)
		if h == nil {
			return none()
		}
		n, nameLen := int64(le.Uint16(h[4:])), int(h[6])
		if n < 8 || n%4 != 0 || int64(nameLen)+8 > n || off+n > 64<<10 {
			return none()
		}
		if le.Uint32(h) != 0 && off >= 24 {
			names = append(names, label(v.Bytes(off+8, nameLen)))
		}
		if off += n; off&(off-1) == 0 && off >= 1024 {
			return Found{Size: off, Confidence: High, Detail: fmt.Sprintf("%d names: %s", len(names), strings.Join(names, ", "))}, true
		}
	}
}
