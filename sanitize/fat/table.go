package fat

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Pages of the table that are kept. 1 MiB covers half a million clusters of a
// FAT32, enough for chains that jump about.
const (
	pageSize  = 4096
	pageCount = 256
)

// table reads entries of the active allocation table through a direct-mapped
// cache: a table may be a gibibyte.
type table struct {
	mu    sync.Mutex
	r     disk.Reader // the active table alone
	bits  int
	pages [pageCount]page
}

type page struct {
	number int64 // plus one; 0 is an empty slot
	data   []byte
}

func newTable(v *volume) *table {

	return &table{r: disk.Section(v.r, v.tables+v.active*v.tableLen, v.tableLen), bits: v.bits}
}

// bytesFor returns the bytes that n entries occupy.
func (t *table) bytesFor(n int64) int64 { return (n*int64(t.bits) + 7) / 8 }

// entry returns the entry of cluster c, with the marks of all widths widened
// to those of FAT32.
func (t *table) entry(c uint32) (uint32, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := int64(c) * int64(t.bits) / 8
	var b [4]byte
	for i := range (t.bits + 7) / 8 {
		x, err := t.byteAt(at + int64(i))
		if err != nil {
			return 0, err
		}
		b[i] = x
	}
	e := binary.LittleEndian.Uint32(b[:])
	switch t.bits {
	case 12:
		if c&1 == 1 {
			e >>= 4
		}
		return widen(e&0xfff, 0xff7), nil
	case 16:
		return widen(e, 0xfff7), nil
	}
	return e & 0x0fffffff, nil // the upper nibble is reserved
}

// The marks of FAT32, FATGEN section "FAT Data Structure".
const (
	markBad = 0x0ffffff7
	markEnd = 0x0ffffff8 // and above
)

func widen(e, bad uint32) uint32 {
	if e >= bad {
		return markBad + (e - bad)
	}
	return e
}

func (t *table) byteAt(off int64) (byte, error) {
	n := off / pageSize
	p := &t.pages[n%pageCount]
	if p.number != n+1 {
		if p.data == nil {
			p.data = make([]byte, pageSize)
		}
		p.number = 0
		want := min(pageSize, t.r.Size()-n*pageSize)
		if want <= 0 {
			return 0, fmt.Errorf("entry at byte %d lies behind the table", off)
		}
		if err := sanitize.ReadFull(t.r, p.data[:want], n*pageSize); err != nil {
			return 0, fmt.Errorf("reading the allocation table: %w", err)
		}
		p.number = n + 1
	}
	return p.data[off%pageSize], nil
}

// checkState refuses a volume that entry 1 marks as in use or as erroneous
// (FATGEN section "FAT Data Structure", ClnShutBitMask and HrdErrBitMask).
func (v *volume) checkState() error {
	e, err := v.fat.entry(1)
	if err != nil {
		return err
	}
	clean := uint32(0)
	switch v.bits {
	case 16:
		clean = 0x8000
	case 32:
		clean = 0x08000000
	}
	if e&clean != clean {
		return refused("the volume was not unmounted cleanly")
	}
	return nil
}

// compareTables refuses a volume whose mirrored tables differ in an entry:
// which one is right is for a repair tool to say.
func (v *volume) compareTables(ctx context.Context) error {
	if !v.mirrored {
		return nil
	}
	used := v.fat.bytesFor(v.clusters + 2)
	main := disk.Section(v.r, v.tables, used)
	for n := int64(1); n < v.copies; n++ {
		other := disk.Section(v.r, v.tables+n*v.tableLen, used)
		same, err := equal(ctx, main, other)
		if err != nil {
			return err
		}
		if !same {
			return refused(fmt.Sprintf("allocation tables 1 and %d differ", n+1))
		}
	}
	return nil
}

// equal compares two disks of one size, reading only what is data in either.
func equal(ctx context.Context, a, b disk.Reader) (bool, error) {
	x, y := make([]byte, pageSize), make([]byte, pageSize)
	for off := int64(0); off < a.Size(); {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		next := a.Size()
		for _, r := range []disk.Reader{a, b} {
			d, err := r.NextData(off)
			if err == nil {
				next = min(next, d.Off)
			} else if !errors.Is(err, io.EOF) {
				return false, err
			}
		}
		off = max(off, next)
		n := min(pageSize, a.Size()-off)
		if err := errors.Join(sanitize.ReadFull(a, x[:n], off), sanitize.ReadFull(b, y[:n], off)); err != nil {
			return false, err
		}
		if !bytes.Equal(x[:n], y[:n]) {
			return false, nil
		}
		off += n
	}
	return true, nil
}
