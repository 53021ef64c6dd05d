package store

import (
	"bytes"
	"context"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// minHole is the shortest run of zeros that is worth a hole, in bytes; holes
// begin and end at multiples of holeAlign.
const (
	minHole   = 64 << 10
	holeAlign = 4 << 10
)

// holePuncher gives back the space of zeros that were just written to a file.
// The content store writes every byte in order; a run is punched while it is
// still in memory, so a sparse disk costs neither space nor disk time.
type holePuncher struct {
	f     *os.File
	pos   int64 // bytes written
	start int64 // of the run of zeros that ends at pos
	given int64 // punched up to here
}

func newHolePuncher(path string) (*holePuncher, error) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	return &holePuncher{f: f}, nil
}

// wrote takes note of the bytes that were written at the end of the file.
func (h *holePuncher) wrote(p []byte) {
	for len(p) > 0 {
		n := min(holeAlign-int(h.pos%holeAlign), len(p))
		if !isZero(p[:n]) {
			h.punch()
			h.start = h.pos + int64(n)
		}
		h.pos += int64(n)
		p = p[n:]
	}
	// A long run is given back in parts, before it is written to the disk.
	if h.pos-max(h.start, h.given) >= 16<<20 {
		h.punch()
	}
}

// punch makes a hole of the current run. A file system that has no holes keeps
// the zeros: the bytes are the same.
func (h *holePuncher) punch() {
	start := (max(h.start, h.given) + holeAlign - 1) / holeAlign * holeAlign
	end := h.pos / holeAlign * holeAlign
	continued := h.given > 0 && start == h.given
	if end <= start || end-start < minHole && !continued {
		return
	}
	unix.Fallocate(int(h.f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, start, end-start)
	h.given = end
}

func (h *holePuncher) finish() {
	h.punch()
	h.close()
}

func (h *holePuncher) close() { h.f.Close() }

// isZero compares p with itself, shifted by one byte, which runs at the speed
// of bytes.Equal.
func isZero(p []byte) bool {
	return len(p) == 0 || p[0] == 0 && bytes.Equal(p[1:], p[:len(p)-1])
}

// zeroReader gives n zeros.
type zeroReader struct {
	ctx   context.Context
	zeros []byte
	n     int64
}

func (z *zeroReader) Read(p []byte) (int, error) {
	if z.n == 0 {
		return 0, io.EOF
	}
	if err := z.ctx.Err(); err != nil {
		return 0, err
	}
	n := copy(p[:min(int64(len(p)), z.n)], z.zeros)
	z.n -= int64(n)
	return n, nil
}
