package disk

import (
	"errors"
	"io"
)

// Section returns the n bytes at off as a disk of its own: a partition, for
// example. What lies beyond r is cut off.
func Section(r Reader, off, n int64) Reader { return newSection(r, off, n) }

// SectionWriter returns the n bytes at off as a disk of its own that is
// changed in place. What lies beyond w is cut off.
func SectionWriter(w Writer, off, n int64) Writer {
	return &sectionWriter{section: newSection(w, off, n), w: w}
}

type section struct {
	r   Reader
	off int64
	n   int64
}

func newSection(r Reader, off, n int64) *section {
	off = min(max(off, 0), r.Size())
	return &section{r: r, off: off, n: min(max(n, 0), r.Size()-off)}
}

func (s *section) Size() int64 { return s.n }

func (s *section) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("reading at a negative offset")
	}
	if off >= s.n {
		return 0, io.EOF
	}
	if int64(len(p)) <= s.n-off {
		return s.r.ReadAt(p, s.off+off)
	}
	n, err := s.r.ReadAt(p[:s.n-off], s.off+off)
	return n, orEOF(err)
}

func (s *section) NextData(off int64) (Extent, error) {
	if off < 0 || off >= s.n {
		return Extent{}, io.EOF
	}
	e, err := s.r.NextData(s.off + off)
	if err != nil {
		return Extent{}, err
	}
	e.Off -= s.off
	if e.Off >= s.n {
		return Extent{}, io.EOF
	}
	e.Len = min(e.Len, s.n-e.Off)
	return e, nil
}

type sectionWriter struct {
	*section
	w Writer
}

func (s *sectionWriter) WriteAt(p []byte, off int64) (int, error) {
	if err := checkRange("writing", off, int64(len(p)), s.n); err != nil {
		return 0, err
	}
	return s.w.WriteAt(p, s.off+off)
}

func (s *sectionWriter) Punch(off, n int64) error {
	if err := checkRange("punching", off, n, s.n); err != nil {
		return err
	}
	return s.w.Punch(s.off+off, n)
}
