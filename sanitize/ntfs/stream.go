package ntfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// stream is an attribute as a whole: the parts of it that several records may
// hold, put together.
type stream struct {
	r       disk.Reader
	cluster int64
	kind    uint32
	name    string
	flags   uint16
	value   []byte // of a resident attribute; runs is nil then
	runs    []run
	size    int64 // bytes
	init    int64 // bytes that were ever written; the rest reads as zero
	unit    int64 // clusters in a compression unit; 0 when there is none
}

// maxUnit bounds a compression unit, in bytes. Windows has 16 clusters of
// 4 KiB at most.
const maxUnit = 1 << 20

// newStream begins a stream with its first part.
func (f *filesystem) newStream(a attribute) (*stream, error) {
	s := &stream{r: f.r, cluster: f.cluster, kind: a.kind, name: a.name, flags: a.flags}
	if a.resident {
		s.value, s.size = a.value, int64(len(a.value))
		s.init = s.size
		return s, nil
	}
	le := binary.LittleEndian
	s.size, s.init = int64(le.Uint64(a.raw[offDataSize:])), int64(le.Uint64(a.raw[offInitialized:]))
	if s.size < 0 || s.init < 0 || s.size > maxVCN*f.cluster {
		return nil, fmt.Errorf("a size of %d with %d initialized", s.size, s.init)
	}
	if shift := a.raw[offUnit]; a.flags&flagCompressed != 0 && shift > 0 {
		if shift > 20 || f.cluster<<shift > maxUnit {
			return nil, fmt.Errorf("a compression unit of 2^%d clusters", shift)
		}
		s.unit = 1 << shift
	}
	s.runs = []run{} // not resident, if empty
	return s, s.extend(a, f.clusters)
}

// extend adds the next part.
func (s *stream) extend(a attribute, clusters int64) error {
	if s.resident() || a.resident {
		return errors.New("two resident values")
	}
	runs, err := appendRuns(s.runs, a, clusters)
	if err == nil && len(runs) == len(s.runs) && a.lowest > 0 {
		err = fmt.Errorf("a part of no clusters at cluster %d", a.lowest)
	}
	s.runs = runs
	return err
}

func (s *stream) resident() bool { return s.runs == nil }

// limit returns the number of bytes that are stored; what is beyond reads as
// zero or not at all.
func (s *stream) limit() int64 { return min(s.size, s.init) }

// allocated returns the bytes that the mapping spans, holes included.
func (s *stream) allocated() int64 {
	if len(s.runs) == 0 {
		return 0
	}
	return s.runs[len(s.runs)-1].end() * s.cluster
}

// mapped returns the clusters that the mapping takes up, and whether it has no
// holes.
func (s *stream) mapped() (clusters int64, dense bool) {
	dense = true
	for _, r := range s.runs {
		if r.lcn == hole {
			dense = false
		} else {
			clusters += r.count
		}
	}
	return clusters, dense
}

// isPlain reports whether s is mapped as the structures of the volume are:
// whole, without holes and compression, and in no more clusters than there
// are.
func (f *filesystem) isPlain(s *stream) bool {
	if s == nil || s.resident() || s.unit > 0 || s.limit() > s.allocated() {
		return false
	}
	n, dense := s.mapped()
	return dense && n <= f.clusters
}

// eachRun calls do for each run that overlaps the n bytes at off, with the
// overlap in bytes of the stream and its place in the volume, or hole.
func (s *stream) eachRun(off, n int64, do func(e disk.Extent, at int64) error) error {
	end := off + n
	for i := search(s.runs, off/s.cluster); i < len(s.runs) && off < end; i++ {
		r := s.runs[i]
		step := min(end, r.end()*s.cluster) - off
		at := int64(hole)
		if r.lcn != hole {
			at = (r.lcn-r.vcn)*s.cluster + off
		}
		if err := do(disk.Extent{Off: off, Len: step}, at); err != nil {
			return err
		}
		off += step
	}
	if off < end {
		return fmt.Errorf("byte %d has no cluster", off)
	}
	return nil
}

// read fills p from byte off as it is stored, whatever the sizes say.
func (s *stream) read(p []byte, off int64) error {
	if s.resident() {
		if off < 0 || off+int64(len(p)) > int64(len(s.value)) {
			return fmt.Errorf("%d bytes at byte %d of a value of %d", len(p), off, len(s.value))
		}
		copy(p, s.value[off:])
		return nil
	}
	return s.eachRun(off, int64(len(p)), func(e disk.Extent, at int64) error {
		part := p[e.Off-off:][:e.Len]
		if at == hole {
			clear(part)
			return nil
		}
		return sanitize.ReadFull(s.r, part, at)
	})
}

// write stores p at byte off of a stream without holes.
func (s *stream) write(w io.WriterAt, p []byte, off int64) error {
	return s.eachRun(off, int64(len(p)), func(e disk.Extent, at int64) error {
		if at == hole {
			return fmt.Errorf("byte %d is in a hole", e.Off)
		}
		_, err := w.WriteAt(p[e.Off-off:][:e.Len], at)
		return err
	})
}

// whole reads all of a small stream.
func (s *stream) whole(most int64) ([]byte, error) {
	if s.size > most {
		return nil, fmt.Errorf("%d bytes where %d are the most", s.size, most)
	}
	b := make([]byte, s.size)
	return b, sanitize.ReadFull(s.content(), b, 0)
}
