// Package mapped reads files whose blocks lie in runs on a volume, and tells
// where on it a byte of them is: what ext and XFS do alike once they have read
// a file's map.
package mapped

import (
	"errors"
	"io"
	"sort"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Run is a run of a file's blocks.
type Run struct {
	Logical, Phys, Count int64 // blocks: within the file, on the volume, and how many
	Unwritten            bool  // reads as zero, whatever is there
}

// Runs are those of a file, ascending by Logical, without overlaps.
type Runs []Run

// Search returns the index of the first run that ends behind a block of the
// file.
func (r Runs) Search(logical int64) int {
	return sort.Search(len(r), func(i int) bool { return r[i].Logical+r[i].Count > logical })
}

// Content is a file: a [sanitize.Content] and a [sanitize.Locator].
type Content struct {
	Volume disk.Reader
	Block  int64 // bytes
	Runs   Runs
	Size   int64 // of the file, in bytes
}

// ReadAt follows io.ReaderAt; holes and unwritten runs read as zero.
func (c Content) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("reading at a negative offset")
	}
	done := 0
	for done < len(p) && off < c.Size {
		s := c.at(off)
		part := p[done:][:min(int64(len(p)-done), s.End()-off)]
		if s.Hole {
			clear(part)
		} else if err := sanitize.ReadFull(c.Volume, part, s.At+off-s.Off); err != nil {
			return done, err
		}
		done += len(part)
		off += int64(len(part))
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// Span implements [sanitize.Locator].
func (c Content) Span(off int64) (sanitize.Span, bool) {
	if off < 0 || off >= c.Size {
		return sanitize.Span{}, false
	}
	return c.at(off), true
}

// at returns the run or hole around a byte of the file.
func (c Content) at(off int64) sanitize.Span {
	i := c.Runs.Search(off / c.Block)
	s := sanitize.Span{At: -1, Hole: true}
	from, to := int64(0), c.Size
	if i > 0 {
		from = (c.Runs[i-1].Logical + c.Runs[i-1].Count) * c.Block
	}
	if i < len(c.Runs) {
		if r := c.Runs[i]; off < r.Logical*c.Block {
			to = min(r.Logical*c.Block, c.Size)
		} else {
			from, to = r.Logical*c.Block, min((r.Logical+r.Count)*c.Block, c.Size)
			if s.Hole = r.Unwritten; !s.Hole {
				s.At = r.Phys * c.Block
			}
		}
	}
	s.Extent = disk.Extent{Off: from, Len: to - from}
	return s
}
