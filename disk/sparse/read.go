package sparse

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sort"

	"github.com/imgbuild/imgbuild/disk"
)

// run is a run of data and where its bytes lie in the stream.
type run struct {
	disk.Extent
	pos int64
}

// reader is a disk.Reader.
type reader struct {
	r    io.ReaderAt
	size int64
	runs []run
}

// Open reads the disk in the n bytes of r. It keeps 24 bytes for each run in
// memory.
func Open(r io.ReaderAt, n int64) (disk.Reader, error) {
	t, err := readTrailer(r, n)
	if err != nil {
		return nil, fmt.Errorf("opening a sparse disk: %w", err)
	}
	runs, err := readIndex(r, t)
	if err != nil {
		return nil, fmt.Errorf("opening a sparse disk: %w", err)
	}
	return &reader{r: r, size: t.size, runs: runs}, nil
}

func readTrailer(r io.ReaderAt, n int64) (trailer, error) {
	var p [trailerSize]byte
	if n < trailerSize {
		return trailer{}, errors.New("it is shorter than its trailer")
	}
	if _, err := r.ReadAt(p[:], n-trailerSize); err != nil && !errors.Is(err, io.EOF) {
		return trailer{}, fmt.Errorf("reading the trailer: %w", err)
	}
	if string(p[:8]) != magic {
		return trailer{}, errors.New("the trailer has no magic")
	}
	if checksum(p[:44]) != binary.LittleEndian.Uint32(p[44:]) {
		return trailer{}, errors.New("the checksum of the trailer is wrong")
	}
	word := func(off int) int64 { return int64(binary.LittleEndian.Uint64(p[off:])) }
	t := trailer{size: word(8), data: word(16), index: word(24), runs: word(32), sum: binary.LittleEndian.Uint32(p[40:])}
	body := n - trailerSize
	if t.size < 0 || t.data < 0 || t.data > body || t.index != body-t.data {
		return trailer{}, fmt.Errorf("%d bytes of data and %d of index do not make %d", t.data, t.index, body)
	}
	// Every run but the last holds a whole block: this bounds the memory by
	// the bytes that are really there.
	if t.runs < 0 || t.runs > t.data/disk.BlockSize+1 {
		return trailer{}, fmt.Errorf("%d runs in %d bytes of data", t.runs, t.data)
	}
	return t, nil
}

func readIndex(r io.ReaderAt, t trailer) ([]run, error) {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	section := io.NewSectionReader(r, t.data, t.index)
	in := bufio.NewReader(io.TeeReader(section, sum))
	runs := make([]run, 0, t.runs)
	var end, pos int64
	for i := range t.runs {
		e, err := readRun(in, end, t.size)
		if err != nil {
			return nil, fmt.Errorf("reading run %d of the index: %w", i, err)
		}
		runs = append(runs, run{Extent: e, pos: pos})
		end, pos = e.End(), pos+e.Len
		if pos > t.data {
			return nil, fmt.Errorf("run %d lies behind the data", i)
		}
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the index is longer than its runs")
	}
	if pos != t.data {
		return nil, fmt.Errorf("the runs hold %d bytes, the data %d", pos, t.data)
	}
	if sum.Sum32() != t.sum {
		return nil, errors.New("the checksum of the index is wrong")
	}
	return runs, nil
}

// readRun reads the run that follows the one that ends at end.
func readRun(in io.ByteReader, end, size int64) (disk.Extent, error) {
	gap, err := binary.ReadUvarint(in)
	if err != nil {
		return disk.Extent{}, err
	}
	length, err := binary.ReadUvarint(in)
	if err != nil {
		return disk.Extent{}, err
	}
	if gap > uint64(size-end) || length == 0 || length > uint64(size-end)-gap {
		return disk.Extent{}, errors.New("it lies beyond the disk")
	}
	e := disk.Extent{Off: end + int64(gap), Len: int64(length)}
	if e.Off%disk.BlockSize != 0 || e.End()%disk.BlockSize != 0 && e.End() != size || gap == 0 && end != 0 {
		return disk.Extent{}, errors.New("it does not consist of whole blocks, or touches the run before it")
	}
	return e, nil
}

func (r *reader) Size() int64 { return r.size }

// find returns the index of the first run that ends behind off.
func (r *reader) find(off int64) int {
	return sort.Search(len(r.runs), func(i int) bool { return r.runs[i].End() > off })
}

func (r *reader) NextData(off int64) (disk.Extent, error) {
	i := r.find(off)
	if off < 0 || i == len(r.runs) {
		return disk.Extent{}, io.EOF
	}
	from := max(off, r.runs[i].Off)
	return disk.Extent{Off: from, Len: r.runs[i].End() - from}, nil
}

func (r *reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("reading at a negative offset")
	}
	if off >= r.size {
		return 0, io.EOF
	}
	var eof error
	if int64(len(p)) > r.size-off {
		p, eof = p[:r.size-off], io.EOF
	}
	done := 0
	for i := r.find(off); done < len(p); i++ {
		at := off + int64(done)
		if i == len(r.runs) || r.runs[i].Off >= off+int64(len(p)) {
			clear(p[done:])
			break
		}
		hole := int(max(r.runs[i].Off-at, 0))
		clear(p[done : done+hole])
		done += hole
		at += int64(hole)
		n := int(min(r.runs[i].End()-at, int64(len(p)-done)))
		if got, err := r.r.ReadAt(p[done:done+n], r.runs[i].pos+at-r.runs[i].Off); got < n {
			return done + got, fmt.Errorf("reading the data of a sparse disk: %w", err)
		}
		done += n
	}
	return len(p), eof
}
