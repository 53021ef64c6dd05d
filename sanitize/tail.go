package sanitize

import (
	"bytes"
	"encoding/binary"

	"github.com/imgbuild/imgbuild/disk"
)

// A signature is what another owner of the space behind a filesystem leaves
// there. Its place is counted from the end of the filesystem or of the volume.
type signature struct {
	owner string
	// at returns the byte where magic would be, given the ends of the
	// filesystem and of the volume.
	at    func(fsEnd, volEnd int64) int64
	magic []byte
}

// fromEnd places a signature n bytes before the end of the volume, rounded
// down to a multiple of align.
func fromEnd(n, align, field int64) func(int64, int64) int64 {
	return func(_, volEnd int64) int64 { return (volEnd-n)/align*align + field }
}

// after places a signature right behind the filesystem, at the next multiple
// of align.
func after(align int64) func(int64, int64) int64 {
	return func(fsEnd, _ int64) int64 { return (fsEnd + align - 1) / align * align }
}

// tailSignatures lists the metadata that is known to live at the end of a
// volume, behind a filesystem that was made smaller for its sake.
func tailSignatures() []signature {
	le32, be32 := binary.LittleEndian.AppendUint32, binary.BigEndian.AppendUint32
	return []signature{
		{"MD superblock 0.90", fromEnd(64<<10, 64<<10, 0), le32(nil, 0xa92b4efc)},
		{"MD superblock 1.0", fromEnd(8<<10, 4<<10, 0), le32(nil, 0xa92b4efc)},
		{"Intel RAID metadata", fromEnd(1024, 512, 0), []byte("Intel Raid ISM Cfg")},
		{"DDF RAID metadata", fromEnd(512, 512, 0), be32(nil, 0xde11de11)},
		{"DRBD metadata", fromEnd(4096, 4096, 60), be32(nil, 0x8374026b)},
		{"DRBD metadata", fromEnd(4096, 4096, 60), be32(nil, 0x8374026c)},
		{"backup GPT", fromEnd(512, 512, 0), []byte("EFI PART")},
		{"Android verified boot footer", fromEnd(64, 1, 0), []byte("AVBf")},
		{"dm-verity hash tree", after(512), []byte("verity\x00\x00")},
		{"dm-verity hash tree", after(4096), []byte("verity\x00\x00")},
	}
}

// Tail accounts for the space between the end of a filesystem, at byte from,
// and the end of r: dead, unless somebody else is known to keep metadata
// there. It emits nothing when the filesystem fills r.
func Tail(r disk.Reader, from int64, emit func(Region) error) error {
	size := r.Size()
	if from >= size {
		return nil
	}
	rest := Region{Extent: disk.Extent{Off: from, Len: size - from}, Class: Gap, Owner: "space behind the filesystem"}
	for _, s := range tailSignatures() {
		off := s.at(from, size)
		if off < from || off+int64(len(s.magic)) > size {
			continue
		}
		p := make([]byte, len(s.magic))
		if err := ReadFull(r, p, off); err != nil {
			return err
		}
		if bytes.Equal(p, s.magic) {
			rest.Class, rest.Owner = Unknown, s.owner
			break
		}
	}
	return emit(rest)
}
