package sanitize

import (
	"bytes"

	"github.com/imgbuild/imgbuild/disk"
)

// formerSignatures are how the first sectors of other owners begin. None of
// them is a jump, so none is the boot code of the filesystem that is there now.
var formerSignatures = []struct{ owner, magic string }{
	{"XFS", "XFSB"}, {"squashfs", "hsqs"}, {"LUKS", "LUKS\xba\xbe"}, {"LVM2", "LABELONE"}, {"Linux RAID", "\xfc\x4e\x2b\xa9"},
}

// BootArea returns what the first n bytes of r are, ahead of a filesystem that
// leaves them to boot loaders: boot code, but for sectors that begin with the
// signature of somebody who owned the volume before.
func BootArea(r disk.Reader, n int64) ([]Region, error) {
	b := make([]byte, n)
	if err := ReadFull(r, b, 0); err != nil {
		return nil, err
	}
	var regions []Region
	for off := int64(0); off < n; off += disk.SectorSize {
		g := Region{Extent: disk.Extent{Off: off, Len: min(disk.SectorSize, n-off)}, Class: BootCode, Owner: "boot block"}
		for _, s := range formerSignatures {
			if bytes.HasPrefix(b[off:], []byte(s.magic)) {
				g.Class, g.Owner = Stale, "signature of "+s.owner
			}
		}
		regions = append(regions, g)
	}
	return regions, nil
}
