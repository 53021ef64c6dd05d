package sanitize

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk"
)

// scanBuffer is the unit of reading, in bytes: it fits the second-level cache,
// so counting costs little on top of the copy out of the page cache.
const scanBuffer = 256 << 10

// scanner reads regions of an image in ascending order. It remembers the last
// data run, so that a million small regions do not each ask the medium.
type scanner struct {
	r   disk.Reader
	run disk.Extent // the last answer of NextData
	// asked is where that question began: all of [asked, run.Off) is zero.
	asked int64
	buf   []byte
}

func newScanner(r disk.Reader) *scanner {
	return &scanner{r: r, asked: -1, buf: make([]byte, scanBuffer)}
}

// next returns the first data run at or after off, clipped to [off, end). An
// empty extent means that only zeros follow up to end.
func (s *scanner) next(off, end int64) (disk.Extent, error) {
	if s.asked < 0 || off < s.asked || off >= s.run.End() {
		run, err := s.r.NextData(off)
		if errors.Is(err, io.EOF) {
			run, err = disk.Extent{Off: s.r.Size()}, nil
		}
		if err != nil {
			return disk.Extent{}, fmt.Errorf("finding data after byte %d: %w", off, err)
		}
		s.asked, s.run = off, run
	}
	from, to := max(off, s.run.Off), min(end, s.run.End())
	if from >= to {
		return disk.Extent{}, nil
	}
	return disk.Extent{Off: from, Len: to - from}, nil
}

// nonZero counts the bytes of e that are not zero. It calls data, unless nil,
// for each run that is not a hole, with the count of that run.
func (s *scanner) nonZero(ctx context.Context, e disk.Extent, data func(run disk.Extent, nonZero int64) error) (int64, error) {
	var total int64
	for off := e.Off; off < e.End(); {
		run, err := s.next(off, e.End())
		if err != nil {
			return 0, err
		}
		if run.Len == 0 {
			break
		}
		n, err := s.count(ctx, run)
		if err != nil {
			return 0, err
		}
		total += n
		if data != nil {
			if err := data(run, n); err != nil {
				return 0, err
			}
		}
		off = run.End()
	}
	return total, nil
}

var zeroByte = []byte{0}

// nonZero counts the bytes of p that are not zero. Most of what is looked at is
// zero altogether, which is found out sooner.
func nonZero(p []byte) int64 {
	if disk.IsZero(p) {
		return 0
	}
	return int64(len(p) - bytes.Count(p, zeroByte))
}

// count reads e and counts its bytes that are not zero.
func (s *scanner) count(ctx context.Context, e disk.Extent) (int64, error) {
	var total int64
	for off := e.Off; off < e.End(); {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		p := s.buf[:min(int64(len(s.buf)), e.End()-off)]
		if err := ReadFull(s.r, p, off); err != nil {
			return 0, err
		}
		total += nonZero(p)
		off += int64(len(p))
	}
	return total, nil
}

// ReadFull fills p from byte off of r. Drivers read with it: a disk that ends
// early is an error that names the place.
func ReadFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("reading %d bytes at byte %d: %w", len(p), off, err)
}
