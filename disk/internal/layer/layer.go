// Package layer makes a disk of what a container format knows: for each run of
// bytes whether the file holds it, whether it is zero, or whether it is left
// to the disk below.
package layer

import (
	"errors"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk"
)

// Kind says where a run of the disk comes from.
type Kind int

// The kinds of runs.
const (
	Absent Kind = iota // the disk below has it; zero when there is none
	Zero               // it reads as zero
	Data               // the container holds it
)

// Layer is a container that was opened. It is safe for concurrent use.
type Layer interface {
	// Size returns the virtual size in bytes.
	Size() int64
	// Find tells the kind of the byte at off, which lies on the disk, and how
	// many bytes from there on are of that kind. The run need not be maximal,
	// but it has one byte at least.
	Find(off int64) (Kind, int64, error)
	// ReadData fills p with bytes at off, all of one run of kind Data.
	ReadData(p []byte, off int64) error
}

// Reader returns the disk that a layer stands for. below, which may be nil, is
// the disk that it changes; what lies beyond its end is zero. name is the
// format's, for errors.
func Reader(name string, l Layer, below disk.Reader) disk.Reader {
	return &reader{name: name, l: l, below: below}
}

type reader struct {
	name  string
	l     Layer
	below disk.Reader
}

func (r *reader) Size() int64 { return r.l.Size() }

// find is the layer's Find with its promises checked.
func (r *reader) find(off int64) (Kind, int64, error) {
	kind, n, err := r.l.Find(off)
	if err == nil && n <= 0 {
		err = errors.New("its map does not go on")
	}
	if err != nil {
		return 0, 0, fmt.Errorf("reading %s byte %d: %w", r.name, off, err)
	}
	return kind, min(n, r.Size()-off), nil
}

func (r *reader) NextData(off int64) (disk.Extent, error) {
	if off < 0 {
		return disk.Extent{}, io.EOF
	}
	var run disk.Extent
	for off < r.Size() {
		kind, n, err := r.find(off)
		if err != nil {
			return disk.Extent{}, err
		}
		e := disk.Extent{Off: off, Len: n}
		data := kind == Data
		if kind == Absent && r.below != nil {
			if e, data, err = r.nextBelow(e); err != nil {
				return disk.Extent{}, err
			}
		}
		switch {
		case data && run.Len == 0:
			run = e
		case data && e.Off == run.End():
			run.Len += e.Len
		case run.Len > 0:
			return run, nil
		}
		// Long enough to be worth its own read: callers merge nothing.
		if run.Len >= maxRun {
			return run, nil
		}
		if off += n; data {
			off = e.End()
		}
	}
	if run.Len > 0 {
		return run, nil
	}
	return disk.Extent{}, io.EOF
}

// maxRun bounds how far NextData looks for the end of a run, in bytes.
const maxRun = 64 << 20

// nextBelow returns the first data within e that the disk below has.
func (r *reader) nextBelow(e disk.Extent) (disk.Extent, bool, error) {
	if e.Off >= r.below.Size() {
		return e, false, nil
	}
	found, err := r.below.NextData(e.Off)
	if errors.Is(err, io.EOF) || err == nil && found.Off >= e.End() {
		return e, false, nil
	}
	if err == nil && (found.Off < e.Off || found.Len <= 0) {
		err = fmt.Errorf("finding data at offset %d: the disk below told of %v", e.Off, found)
	}
	found.Len = min(found.End(), e.End()) - found.Off
	return found, true, err
}

func (r *reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("reading at a negative offset")
	}
	if off >= r.Size() {
		return 0, io.EOF
	}
	var eof error
	if int64(len(p)) > r.Size()-off {
		p, eof = p[:r.Size()-off], io.EOF
	}
	for done := 0; done < len(p); {
		n, err := r.readRun(p[done:], off+int64(done))
		if err != nil {
			return done, err
		}
		done += n
	}
	return len(p), eof
}

// readRun reads up to the end of a run.
func (r *reader) readRun(p []byte, off int64) (int, error) {
	kind, n, err := r.find(off)
	if err != nil {
		return 0, err
	}
	p = p[:min(n, int64(len(p)))]
	switch {
	case kind == Data:
		if err := r.l.ReadData(p, off); err != nil {
			return 0, fmt.Errorf("reading %s byte %d: %w", r.name, off, err)
		}
	case kind == Absent && r.below != nil:
		return len(p), readPadded(r.below, p, off)
	default:
		clear(p)
	}
	return len(p), nil
}

// readPadded reads from a disk that may end before p does.
func readPadded(r disk.Reader, p []byte, off int64) error {
	have := min(max(r.Size()-off, 0), int64(len(p)))
	clear(p[have:])
	if have == 0 {
		return nil
	}
	n, err := r.ReadAt(p[:have], off)
	if int64(n) == have {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
