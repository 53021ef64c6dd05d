package clusters

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// pageSize is the part of a bitmap that is kept, in bytes.
const pageSize = 4096

// Bitmap reads the bits of a file, the lowest of each byte first. It keeps one
// page: it is asked in ascending order, and the bitmap of a large volume has
// half a gibibyte. It is used by one goroutine at a time.
type Bitmap struct {
	r    io.ReaderAt
	size int64
	at   int64 // of the page, in bytes; -1 for none
	page []byte
}

// NewBitmap returns the bitmap in the first size bytes of r.
func NewBitmap(r io.ReaderAt, size int64) *Bitmap { return &Bitmap{r: r, size: size, at: -1} }

// load returns the page that holds byte off, up to the end of the bitmap.
func (m *Bitmap) load(off int64) ([]byte, error) {
	if off >= m.size {
		return nil, fmt.Errorf("a bitmap of %d bytes has no byte %d", m.size, off)
	}
	at := off / pageSize * pageSize
	if m.at == at {
		return m.page, nil
	}
	if m.page == nil {
		m.page = make([]byte, pageSize)
	}
	m.at, m.page = -1, m.page[:min(pageSize, m.size-at)]
	if got, err := m.r.ReadAt(m.page, at); got < len(m.page) {
		return nil, errors.Join(err, io.ErrUnexpectedEOF)
	}
	m.at = at
	return m.page, nil
}

// Get returns bit i.
func (m *Bitmap) Get(i int64) (bool, error) {
	p, err := m.load(i / 8)
	if err != nil {
		return false, err
	}
	return bit(p, i-m.at*8), nil
}

func bit(p []byte, i int64) bool { return p[i/8]>>(i%8)&1 == 1 }

// Run returns bit i and the end of the run of equal bits that it begins, which
// is to at most.
func (m *Bitmap) Run(i, to int64) (set bool, end int64, err error) {
	if set, err = m.Get(i); err != nil {
		return false, i, err
	}
	for end = i + 1; end < to; {
		p, err := m.load(end / 8)
		if err != nil {
			return set, end, err
		}
		in := end/8 - m.at
		if end%64 != 0 || in+8 > int64(len(p)) {
			if bit(p, end-m.at*8) != set {
				return set, end, nil
			}
			end++
			continue
		}
		w := binary.LittleEndian.Uint64(p[in:])
		if set {
			w = ^w
		}
		if w != 0 {
			return set, min(end+int64(bits.TrailingZeros64(w)), to), nil
		}
		end += 64
	}
	return set, min(end, to), nil
}
