package ntfs

import (
	"errors"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/sanitize/internal/clusters"
)

// content reads a stream as a program does.
type content struct {
	*stream
	unitAt int64  // the unit in plain, -1 for none
	plain  []byte // what the last compression unit holds
}

func (s *stream) content() *content { return &content{stream: s, unitAt: -1} }

// bitmap reads the stream as a bitmap. One that is not there has no bits.
func (s *stream) bitmap() *clusters.Bitmap {
	if s == nil {
		s = &stream{}
	}
	return clusters.NewBitmap(s.content(), s.size)
}

// ReadAt follows io.ReaderAt. Holes and what was never written read as zero;
// an encrypted stream reads as it is stored.
func (c *content) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("reading at a negative offset")
	}
	done := 0
	for done < len(p) && off < c.size {
		n := min(int64(len(p)-done), c.size-off)
		part := p[done:]
		if off >= c.init {
			clear(part[:n])
		} else {
			n = min(n, c.init-off)
			step, err := c.stored(part[:n], off)
			if err != nil {
				return done, err
			}
			n = step
		}
		done, off = done+int(n), off+n
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// stored reads at least one byte of what was written.
func (c *content) stored(p []byte, off int64) (int64, error) {
	n := int64(len(p))
	if c.unit == 0 {
		return n, c.read(p, off)
	}
	size := c.unit * c.cluster
	unit := off / size
	n = min(n, (unit+1)*size-off)
	used, packed := c.unitClusters(unit)
	if !packed || used == 0 {
		// The mapping may end within the last unit.
		n = min(n, max(c.allocated()-off, 0))
		if n == 0 {
			return 0, fmt.Errorf("byte %d has no cluster", off)
		}
		return n, c.read(p[:n], off)
	}
	if c.unitAt != unit {
		c.unitAt = -1
		b := make([]byte, used*c.cluster)
		if err := c.read(b, unit*size); err != nil {
			return 0, err
		}
		if c.plain == nil {
			c.plain = make([]byte, size)
		}
		if err := decompress(c.plain[:min(size, c.limit()-unit*size)], b); err != nil {
			return 0, fmt.Errorf("decompressing the unit at byte %d: %w", unit*size, err)
		}
		c.unitAt = unit
	}
	copy(p[:n], c.plain[off-unit*size:])
	return n, nil
}

// unitClusters returns how many clusters at the start of a compression unit
// are stored, and whether they hold a compressed stream: that is so when a
// hole follows (ntfs-3g, ntfs_is_cb_compressed).
func (s *stream) unitClusters(unit int64) (used int64, packed bool) {
	from, to := unit*s.unit, (unit+1)*s.unit
	for i := search(s.runs, from); i < len(s.runs) && s.runs[i].vcn < to; i++ {
		if s.runs[i].lcn == hole {
			return max(s.runs[i].vcn-from, 0), true
		}
		used = min(s.runs[i].end(), to) - from
	}
	return used, false
}
