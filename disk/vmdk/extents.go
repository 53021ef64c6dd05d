package vmdk

import (
	"sort"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/internal/layer"
)

// extentSet is a disk of several extents, one behind the other.
type extentSet struct {
	size   int64
	starts []int64
	parts  []layer.Layer
}

// add appends the first size bytes of an extent.
func (s *extentSet) add(l layer.Layer, size int64) {
	if size == 0 {
		return
	}
	s.starts, s.parts = append(s.starts, s.size), append(s.parts, l)
	s.size += size
}

// part returns the extent that holds an offset, where it begins, and where the
// next one does.
func (s *extentSet) part(off int64) (layer.Layer, int64, int64) {
	i := sort.Search(len(s.starts), func(i int) bool { return s.starts[i] > off }) - 1
	end := s.size
	if i+1 < len(s.starts) {
		end = s.starts[i+1]
	}
	return s.parts[i], s.starts[i], end
}

// Size implements layer.Layer.
func (s *extentSet) Size() int64 { return s.size }

// Find implements layer.Layer.
func (s *extentSet) Find(off int64) (layer.Kind, int64, error) {
	l, start, end := s.part(off)
	kind, n, err := l.Find(off - start)
	return kind, min(n, end-off), err
}

// ReadData implements layer.Layer.
func (s *extentSet) ReadData(p []byte, off int64) error {
	l, start, _ := s.part(off)
	return l.ReadData(p, off-start)
}

// zeroExtent is an extent of so many zeros.
type zeroExtent int64

func (z zeroExtent) Size() int64 { return int64(z) }
func (z zeroExtent) Find(off int64) (layer.Kind, int64, error) {
	return layer.Zero, int64(z) - off, nil
}
func (zeroExtent) ReadData([]byte, int64) error { return nil }

// flatExtent is an extent that lies in a file as it is.
type flatExtent struct {
	r         disk.Reader
	off, size int64
}

func (f flatExtent) Size() int64 { return f.size }

func (f flatExtent) Find(off int64) (layer.Kind, int64, error) {
	return layer.InFile(f.r, f.off+off, f.size-off)
}

func (f flatExtent) ReadData(p []byte, off int64) error {
	if n, err := f.r.ReadAt(p, f.off+off); n < len(p) {
		return orUnexpected(err)
	}
	return nil
}
