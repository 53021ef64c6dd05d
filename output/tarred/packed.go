package tarred

import (
	"io"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/packed"
)

// record is what the length of a compressed archive is a multiple of, in
// bytes: some readers of tapes and pipes ask for whole ones.
const record = 20 * Block

// Packed returns a sink that writes an archive into w, compressed by gzip as it
// goes: head, which ends with the header of a last member, and the disk of size
// bytes, which is that member.
func Packed(w io.Writer, head []byte, size int64) (disk.Sink, error) {
	start := int64(len(head))
	total := (End(start+Blocks(size)) + record - 1) / record * record
	s, err := packed.Create(w, total, packed.Gzip)
	if err != nil {
		return nil, err
	}
	if _, err := s.WriteAt(head, 0); err != nil {
		_ = s.Close() // it returns the same error
		return nil, err
	}
	return &packedSink{s, start}, nil
}

// packedSink takes the disk to its place in the archive.
type packedSink struct {
	disk.Sink
	start int64
}

// WriteAt implements disk.Sink.
func (s *packedSink) WriteAt(p []byte, off int64) (int, error) { return s.Sink.WriteAt(p, s.start+off) }
