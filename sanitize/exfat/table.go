package exfat

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// entrySize is the size of an entry of the table, in bytes.
const entrySize = 4

// tablePage is the part of the table that is kept, in bytes: chains mostly
// ascend.
const tablePage = 64 << 10

// table reads entries of the allocation table.
type table struct {
	r disk.Reader // the table alone

	mu   sync.Mutex
	at   int64 // of the page; -1 for none
	page []byte
}

func newTable(r disk.Reader, g geometry) *table {
	return &table{r: disk.Section(r, g.table, g.tableLen), at: -1}
}

// next returns the cluster that follows c.
func (t *table) next(c uint32) (uint32, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	off := int64(c) * entrySize
	if at := off / tablePage * tablePage; t.at != at {
		t.at = -1
		n := min(tablePage, t.r.Size()-at)
		if n < entrySize {
			return 0, fmt.Errorf("cluster %d lies behind the table", c)
		}
		if t.page == nil {
			t.page = make([]byte, tablePage)
		}
		if err := sanitize.ReadFull(t.r, t.page[:n], at); err != nil {
			return 0, fmt.Errorf("reading the allocation table: %w", err)
		}
		t.at = at
	}
	return binary.LittleEndian.Uint32(t.page[off-t.at:]), nil
}

// numbers is a set of cluster numbers, in pages: a large volume has many
// clusters, of which few need be in use.
type numbers map[uint32]*[numbersPage / 64]uint64

const numbersPage = 1 << 14 // clusters

func (s numbers) has(c uint32) bool {
	p := s[c/numbersPage]
	return p != nil && p[c%numbersPage/64]>>(c%64)&1 == 1
}

// add reports whether c was not in the set before.
func (s numbers) add(c uint32) bool {
	p := s[c/numbersPage]
	if p == nil {
		p = new([numbersPage / 64]uint64)
		s[c/numbersPage] = p
	}
	word, bit := &p[c%numbersPage/64], uint64(1)<<(c%64)
	fresh := *word&bit == 0
	*word |= bit
	return fresh
}
