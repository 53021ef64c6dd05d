package vmdk

import (
	"fmt"
	"io"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/internal/blocks"
)

// splitSectors is the size of an extent of a split disk, 2047 MiB as VMware
// makes them.
const splitSectors = 4192256

// setWriter is the disk.Sink of a disk of several files. Extents are written
// one after the other.
type setWriter struct {
	*blocks.Assembler
	w      io.WriterAt
	opts   Options
	create func(name string) (io.WriterAt, error)
	total  int64 // sectors
	each   int64 // sectors of an extent, but the last
	lines  []string
	now    extentWriter // the extent being written; nil before the first
	id     *blocks.ID
	closed bool
}

// extentWriter writes an extent; offsets are in it.
type extentWriter interface {
	grain(off int64, block []byte) error
	finish() error
}

func newSet(w io.WriterAt, size int64, opts Options, create func(string) (io.WriterAt, error)) (disk.Sink, error) {
	s := &setWriter{w: w, opts: opts, create: create, total: int64(sectors(size)), each: splitSectors, id: blocks.NewID()}
	if opts.Type == MonolithicFlat {
		s.each = max(s.total, 1)
	}
	if n := (s.total + s.each - 1) / s.each; n > maxExtents {
		return nil, fmt.Errorf("a disk of %d bytes needs %d files, more than %d", size, n, maxExtents)
	}
	s.Assembler = newAssembler(size, s.grain)
	return s, nil
}

func (s *setWriter) grain(off int64, block []byte) error {
	s.id.Add(off, block)
	each := s.each * disk.SectorSize
	if s.opts.Type == MonolithicFlat { // the one extent need not be whole grains
		each = 1 << 62
	}
	for int64(len(s.lines)) <= off/each {
		if err := s.begin(); err != nil {
			return err
		}
	}
	return s.now.grain(off%each, block)
}

// begin finishes the extent being written and goes on to the next.
func (s *setWriter) begin() error {
	if s.now != nil {
		if err := s.now.finish(); err != nil {
			return err
		}
	}
	n := min(s.each, s.total-int64(len(s.lines))*s.each)
	stem := strings.TrimSuffix(s.opts.Name, ".vmdk")
	name := fmt.Sprintf("%s-f%03d.vmdk", stem, len(s.lines)+1)
	kind, tail := "FLAT", " 0"
	switch s.opts.Type {
	case MonolithicFlat:
		name = stem + "-flat.vmdk"
	case SplitSparse:
		name = fmt.Sprintf("%s-s%03d.vmdk", stem, len(s.lines)+1)
		kind, tail = "SPARSE", ""
	}
	s.lines = append(s.lines, fmt.Sprintf("RW %d %s \"%s\"%s", n, kind, name, tail))
	w, err := s.create(name)
	if err != nil {
		return err
	}
	if kind == "FLAT" {
		s.now = &flatWriter{w: w, size: n * disk.SectorSize}
		return nil
	}
	s.now, err = newSparse(w, uint64(n), false)
	return err
}

// Close implements disk.Sink. It makes the extents that hold nothing, and
// writes the descriptor last.
func (s *setWriter) Close() error {
	err := s.Assembler.Close()
	if s.closed || err != nil {
		return err
	}
	s.closed = true
	for len(s.lines) == 0 || int64(len(s.lines))*s.each < s.total {
		if err := s.begin(); err != nil {
			return err
		}
	}
	if err := s.now.finish(); err != nil {
		return err
	}
	text := describe(s.opts.Type, s.total, contentID(s.id, s.opts), s.lines)
	_, err = s.w.WriteAt([]byte(text), 0)
	return err
}

// flatWriter writes an extent as it is, without what is zero.
type flatWriter struct {
	w             io.WriterAt
	size, written int64
}

func (f *flatWriter) grain(off int64, block []byte) error {
	var err error
	block = block[:min(int64(len(block)), f.size-off)]
	disk.DataRuns(block, off, func(run disk.Extent) {
		if err == nil {
			_, err = f.w.WriteAt(block[run.Off-off:][:run.Len], run.Off)
			f.written = run.End()
		}
	})
	return err
}

// finish gives the file its size.
func (f *flatWriter) finish() error {
	if f.written >= f.size {
		return nil
	}
	_, err := f.w.WriteAt([]byte{0}, f.size-1)
	return err
}
