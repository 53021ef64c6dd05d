package ntfs

import (
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/internal/clusters"
)

// records marks what is dead in a stream of MFT records: the MFT itself, or
// its mirror.
func (a *account) records(s *stream, isMFT bool) ([]mark, error) {
	var marks []mark
	size := a.f.recordSize
	var allocated *clusters.Bitmap
	if isMFT {
		allocated = a.f.mftBits.bitmap()
	}
	for off := int64(0); off+size <= s.limit(); off += size {
		if err := a.ctx.Err(); err != nil {
			return nil, err
		}
		b := make([]byte, size)
		if err := s.read(b, off); err != nil {
			return nil, err
		}
		dead, err := a.recordDead(b, off/size, allocated)
		if err != nil {
			return nil, err
		}
		for _, d := range dead {
			marks = append(marks, mark{disk.Extent{Off: off + d.Off, Len: d.Len}, sanitize.Stale})
		}
	}
	return s.tail(marks, s.limit()/size*size), nil
}

// recordDead returns what is dead in record num. It takes b.
func (a *account) recordDead(b []byte, num int64, allocated *clusters.Bitmap) ([]disk.Extent, error) {
	if inUse(b) {
		r, err := parseRecord(num, b)
		if err != nil {
			return nil, err
		}
		return r.dead()
	}
	if !hasHeader(b) && allocated != nil {
		// No record, where one is expected: what it was is for chkdsk to say.
		if set, err := allocated.Get(num); err != nil || set {
			return nil, errorOr(err, "MFT record %d is damaged", num)
		}
	}
	return deadOfFree(b), nil
}

// log marks the pages of the log that are not empty, but for the restart
// pages: they say that the log was closed until Reseal empties them.
func (a *account) log(s *stream) ([]mark, error) {
	var marks []mark
	err := eachLogPage(a.ctx, s, func(e disk.Extent, empty bool) error {
		if !empty && e.Off >= a.f.restarts {
			marks = append(marks, mark{e, sanitize.Stale})
		}
		return nil
	})
	return s.tail(marks, s.limit()), err
}

// index accounts for an index and returns the entries of a directory.
func (a *account) index(n *file, name, owner string) ([]entry, error) {
	var entries []entry
	var marks []mark
	whole, err := a.f.index(a.ctx, n, name,
		func(e []entry) { entries = append(entries, e...) },
		func(e disk.Extent) { marks = append(marks, mark{e, sanitize.Stale}) })
	if err != nil {
		return nil, err
	}
	if s := n.stream(attrIndexAlloc, name); s != nil {
		err = a.stream(s, s.tail(marks, whole), sanitize.Metadata, owner)
	}
	return entries, err
}

// units marks what is dead in a compressed stream: clusters of units that were
// never written, and the rest of a unit's clusters behind what it takes to
// decompress the unit, up to the end of the file.
func (a *account) units(s *stream) ([]mark, error) {
	var marks []mark
	size := s.unit * s.cluster
	stored := make([]byte, size)
	for off := int64(0); off < s.limit(); {
		if err := a.ctx.Err(); err != nil {
			return nil, err
		}
		i := search(s.runs, off/s.cluster)
		if i == len(s.runs) {
			return nil, fmt.Errorf("byte %d has no cluster", off)
		}
		if r := s.runs[i]; r.lcn == hole && r.end()*s.cluster-off >= size {
			off = r.end() * s.cluster / size * size
			continue
		}
		used, packed := s.unitClusters(off / size)
		if packed && used > 0 {
			b := stored[:used*s.cluster]
			if err := s.read(b, off); err != nil {
				return nil, err
			}
			n, err := streamLen(b, int(min(s.limit()-off, size)))
			if err != nil {
				return nil, fmt.Errorf("reading the unit at byte %d: %w", off, err)
			}
			if rest := int64(len(b) - n); rest > 0 {
				marks = append(marks, mark{disk.Extent{Off: off + int64(n), Len: rest}, sanitize.Slack})
			}
		}
		off += size
	}
	return s.tailOfUnits(marks), nil
}

// tailOfUnits appends what is dead behind the last unit, or behind the end of
// the file when that unit is not compressed.
func (s *stream) tailOfUnits(marks []mark) []mark {
	n := s.limit()
	if last := n / s.unit / s.cluster; n%(s.unit*s.cluster) != 0 {
		if used, packed := s.unitClusters(last); packed && used > 0 {
			n = (last + 1) * s.unit * s.cluster
		}
	}
	return s.tail(marks, n)
}
