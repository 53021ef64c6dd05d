package tarred

import (
	"io"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/packed"
)

// record is what the length of a compressed archive is a multiple of, in
// bytes: some readers of tapes and pipes ask for whole ones.
const record = 20 * Block

// Packed is an archive of disks that gzip compresses as it goes. What is in it
// is written in its order, and no header twice: so the length of each disk has
// to be known before it.
type Packed struct {
	sink disk.Sink
	at   int64 // where the next member begins
}

// NewPacked begins an archive in w whose members have length bytes, with their
// headers and whole blocks each.
func NewPacked(w io.Writer, length int64) (*Packed, error) {
	s, err := packed.Create(w, (End(length)+record-1)/record*record, packed.Gzip)
	if err != nil {
		return nil, err
	}
	return &Packed{sink: s}, nil
}

// Add adds a header, or small members whole.
func (p *Packed) Add(blocks []byte) error {
	_, err := p.sink.WriteAt(blocks, p.at)
	p.at += int64(len(blocks))
	return err
}

// Disk returns the place of a disk of size bytes, whose header was added. To
// close it does nothing.
func (p *Packed) Disk(size int64) disk.Sink {
	start := p.at
	p.at += Blocks(size)
	return &place{p.sink, start}
}

// Close ends the archive.
func (p *Packed) Close() error { return p.sink.Close() }

// place takes a disk to its place in an archive.
type place struct {
	sink  disk.Sink
	start int64
}

// WriteAt implements disk.Sink.
func (s *place) WriteAt(p []byte, off int64) (int, error) { return s.sink.WriteAt(p, s.start+off) }

// Close implements disk.Sink.
func (s *place) Close() error { return nil }
