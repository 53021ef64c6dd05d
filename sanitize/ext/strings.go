package ext

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Places in a superblock, DISK section "The Super Block".
const (
	offRoCompat    = 0x64
	offUUID        = 0x68
	offLabel       = 0x78
	offLastMounted = 0x88
	offErrorCount  = 0x194
	offErrors      = 0x198 // when, where and in which function errors occurred
	offMountOpts   = 0x200
	offSeed        = 0x270
	offSuperSum    = 0x3fc
)

// superStrings are the strings in a superblock.
var superStrings = []disk.Extent{{Off: offLabel, Len: 16}, {Off: offLastMounted, Len: 64}, {Off: offMountOpts, Len: 64}}

// copied are the fields in which a backup follows the primary.
var copied = []disk.Extent{
	{Off: offUUID, Len: offLastMounted + 64 - offUUID}, {Off: offErrorCount, Len: offMountOpts + 64 - offErrorCount}, {Off: offSeed, Len: 4},
}

// deadInSuper returns what follows the ends of the strings in a superblock, and
// the account of errors when there were none: the tools reset its count only.
func deadInSuper(b []byte) []disk.Extent {
	var dead []disk.Extent
	for _, s := range superStrings {
		if s.Off == offMountOpts && binary.LittleEndian.Uint32(b[offErrorCount:]) == 0 {
			dead = append(dead, disk.Extent{Off: offErrors, Len: offMountOpts - offErrors})
		}
		if n := bytes.IndexByte(b[s.Off:s.End()], 0); n >= 0 && int64(n) < s.Len-1 {
			dead = append(dead, disk.Extent{Off: s.Off + int64(n) + 1, Len: s.Len - int64(n) - 1})
		}
	}
	return dead
}

// supers seals the primary superblock and brings its backups up to date.
func (s *sealer) supers() error {
	var primary []byte
	for g := range s.f.groupCount() {
		if !s.f.hasSuper(g) {
			continue
		}
		off := s.f.superBlock(g) * s.f.block
		if g == 0 {
			off = superOff
		}
		b := make([]byte, superLen)
		if err := sanitize.ReadFull(s.w, b, off); err != nil {
			return err
		}
		old := bytes.Clone(b)
		if g == 0 {
			primary = b
		} else if binary.LittleEndian.Uint16(b[0x38:]) != extMagic {
			return fmt.Errorf("group %d has no backup superblock", g)
		}
		for _, e := range copied {
			copy(b[e.Off:e.End()], primary[e.Off:])
		}
		if binary.LittleEndian.Uint32(b[offRoCompat:])&roMetadataCsum != 0 {
			binary.LittleEndian.PutUint32(b[offSuperSum:], crc(^uint32(0), b[:offSuperSum]))
		}
		if bytes.Equal(b, old) {
			continue
		}
		if _, err := s.w.WriteAt(b, off); err != nil {
			return err
		}
	}
	return nil
}
