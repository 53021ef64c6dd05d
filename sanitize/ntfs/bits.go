package ntfs

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

// bitsPage is the part of a bitmap that is kept, in bytes.
const bitsPage = 4096

// bitmap reads the bits of a stream through one page: it is asked in ascending
// order, and the one of a large volume has half a gibibyte.
type bitmap struct {
	c    *content
	at   int64 // of the page, in bytes; -1 for none
	page []byte
}

// newBits returns the bitmap in s. Without a stream no bit is set.
func newBits(s *stream) *bitmap {
	if s == nil {
		return &bitmap{}
	}
	return &bitmap{c: s.content(), at: -1}
}

// load returns the page that holds byte off, up to the end of the bitmap.
func (m *bitmap) load(off int64) ([]byte, error) {
	at := off / bitsPage * bitsPage
	if m.at == at {
		return m.page, nil
	}
	n := min(bitsPage, m.c.size-at)
	if n <= 0 {
		return nil, errors.New("the bitmap is too short")
	}
	if m.page == nil {
		m.page = make([]byte, bitsPage)
	}
	m.at, m.page = -1, m.page[:n]
	if _, err := m.c.ReadAt(m.page, at); err != nil {
		return nil, err
	}
	m.at = at
	return m.page, nil
}

// get returns bit i.
func (m *bitmap) get(i int64) (bool, error) {
	if m.c == nil {
		return false, nil
	}
	p, err := m.load(i / 8)
	if err != nil {
		return false, err
	}
	return p[i/8-m.at]>>(i%8)&1 == 1, nil
}

// run returns bit i and the end of the run of equal bits that it begins, which
// is to at most.
func (m *bitmap) run(i, to int64) (set bool, end int64, err error) {
	if set, err = m.get(i); err != nil || m.c == nil {
		return set, to, err
	}
	for end = i + 1; end < to; {
		p, err := m.load(end / 8)
		if err != nil {
			return set, end, err
		}
		// Eight bytes at a time, where a word begins.
		if in := end/8 - m.at; end%64 == 0 && in+8 <= int64(len(p)) {
			w := binary.LittleEndian.Uint64(p[in:])
			if set {
				w = ^w
			}
			if w == 0 {
				end += 64
				continue
			}
			return set, min(end+int64(bits.TrailingZeros64(w)), to), nil
		}
		if (p[end/8-m.at]>>(end%8)&1 == 1) != set {
			return set, end, nil
		}
		end++
	}
	return set, min(end, to), nil
}
