package sparse

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/internal/blocks"
)

// writer is a disk.Sink.
type writer struct {
	*blocks.Assembler
	w    *bufio.Writer
	size int64

	run   disk.Extent // the run being written
	end   int64       // of the run before it
	data  int64
	runs  int64
	index []byte
}

// NewWriter returns a sink that encodes a disk of size bytes into w. Only the
// index, a few bytes for each run of data, is kept in memory. Close does not
// close w.
func NewWriter(w io.Writer, size int64) disk.Sink {
	s := &writer{w: bufio.NewWriterSize(w, 256<<10), size: size}
	s.Assembler = blocks.New(size, disk.BlockSize, s.block)
	return s
}

func (s *writer) block(off int64, p []byte) error {
	if off != s.run.End() {
		s.endRun()
		s.run = disk.Extent{Off: off}
	}
	s.run.Len += int64(len(p))
	s.data += int64(len(p))
	_, err := s.w.Write(p)
	return err
}

func (s *writer) endRun() {
	if s.run.Len == 0 {
		return
	}
	s.index = binary.AppendUvarint(s.index, uint64(s.run.Off-s.end))
	s.index = binary.AppendUvarint(s.index, uint64(s.run.Len))
	s.end = s.run.End()
	s.runs++
}

// Close writes the index and the trailer.
func (s *writer) Close() error {
	if err := s.Assembler.Close(); err != nil {
		return err
	}
	if s.size < 0 {
		return fmt.Errorf("writing a sparse disk: its size is %d bytes", s.size)
	}
	s.endRun()
	if _, err := s.w.Write(s.index); err != nil {
		return err
	}
	t := trailer{size: s.size, data: s.data, index: int64(len(s.index)), runs: s.runs, sum: checksum(s.index)}
	if _, err := s.w.Write(t.encode()); err != nil {
		return err
	}
	return s.w.Flush()
}
