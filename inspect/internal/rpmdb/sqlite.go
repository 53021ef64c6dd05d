package rpmdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	magic     = "SQLite format 3\x00"
	headLen   = 100 // of page 1, bytes
	maxDepth  = 32
	maxRecord = 64 << 20 // bytes

	// Kinds of pages (section 1.6).
	interiorPage = 5
	leafPage     = 13
)

// database reads tables.
type database struct {
	r        io.ReaderAt
	size     int64 // of a page, bytes
	usable   int64 // of a page, bytes
	pages    int64
	overflow int64 // pages that rows may still go on in
}

func open(r io.ReaderAt, n int64) (*database, error) {
	head := make([]byte, headLen)
	if _, err := r.ReadAt(head, 0); err != nil || string(head[:len(magic)]) != magic {
		return nil, errors.New("it is no SQLite database")
	}
	size := int64(binary.BigEndian.Uint16(head[16:]))
	if size == 1 {
		size = 64 << 10
	}
	if size < 512 || size&(size-1) != 0 || int64(head[20]) > size-480 {
		return nil, fmt.Errorf("it has pages of %d bytes, less %d", size, head[20])
	}
	return &database{r: r, size: size, usable: size - int64(head[20]), pages: n / size, overflow: n / size}, nil
}

// page reads page i; the first one is 1.
func (d *database) page(i int64) ([]byte, error) {
	if i < 1 || i > d.pages {
		return nil, fmt.Errorf("page %d of %d", i, d.pages)
	}
	b := make([]byte, d.size)
	if _, err := d.r.ReadAt(b, (i-1)*d.size); err != nil {
		return nil, fmt.Errorf("reading page %d: %w", i, err)
	}
	return b[:d.usable], nil
}

// rows calls fn for the rows of a table, in the order of their numbers.
func (d *database) rows(root int64, fn func([]value) error) error {
	return d.walk(root, 0, map[int64]bool{}, fn)
}

// walk goes down from a page of a table's tree.
func (d *database) walk(at int64, depth int, seen map[int64]bool, fn func([]value) error) error {
	if depth > maxDepth || seen[at] {
		return fmt.Errorf("page %d is deep down, or was read before", at)
	}
	seen[at] = true
	b, err := d.page(at)
	if err != nil {
		return err
	}
	head := 0
	if at == 1 {
		head = headLen
	}
	kind, cells := b[head], int(binary.BigEndian.Uint16(b[head+3:]))
	array := head + 8
	if kind == interiorPage {
		array += 4
	} else if kind != leafPage {
		return fmt.Errorf("page %d is of kind %d", at, kind)
	}
	if array+2*cells > len(b) {
		return fmt.Errorf("page %d has %d cells", at, cells)
	}
	for i := range cells {
		off := int(binary.BigEndian.Uint16(b[array+2*i:]))
		if off < array || off > len(b)-4 {
			return fmt.Errorf("cell %d of page %d is at byte %d", i, at, off)
		}
		if kind == interiorPage {
			err = d.walk(int64(binary.BigEndian.Uint32(b[off:])), depth+1, seen, fn)
		} else {
			err = d.cell(b[off:], fn)
		}
		if err != nil {
			return err
		}
	}
	if kind == interiorPage {
		return d.walk(int64(binary.BigEndian.Uint32(b[head+8:])), depth+1, seen, fn)
	}
	return nil
}

// cell reads a row: its length, its number, and as much of its record as a page
// takes; the rest is in a chain of pages (section 1.6).
func (d *database) cell(b []byte, fn func([]value) error) error {
	length, b := varint(b)
	_, b = varint(b)
	if length > maxRecord {
		return fmt.Errorf("a row of %d bytes", length)
	}
	n, local := int64(length), int64(length)
	if most := d.usable - 35; n > most {
		least := (d.usable-12)*32/255 - 23
		if local = least + (n-least)%(d.usable-4); local > most {
			local = least
		}
	}
	if local > int64(len(b)) || n > local && local+4 > int64(len(b)) {
		return fmt.Errorf("a row of %d bytes goes beyond its page", n)
	}
	record := append([]byte(nil), b[:local]...)
	if n > local {
		for next := int64(binary.BigEndian.Uint32(b[local:])); int64(len(record)) < n; {
			if d.overflow--; d.overflow < 0 {
				return errors.New("the rows go on in more pages than there are")
			}
			p, err := d.page(next)
			if err != nil {
				return err
			}
			next = int64(binary.BigEndian.Uint32(p))
			record = append(record, p[4:min(int64(len(p)), 4+n-int64(len(record)))]...)
		}
	}
	row, err := columns(record)
	if err != nil {
		return err
	}
	return fn(row)
}

// value is that of a column: a whole number, or bytes.
type value struct {
	number int64
	bytes  []byte
}

// columns takes a record apart (section 2.1): its types, behind their length,
// then its values.
func columns(record []byte) ([]value, error) {
	length, types := varint(record)
	if length > uint64(len(record)) || int(length) < len(record)-len(types) {
		return nil, fmt.Errorf("a record begins with %d bytes of types", length)
	}
	types, data := types[:int(length)-(len(record)-len(types))], record[length:]
	var row []value
	for len(types) > 0 {
		var kind uint64
		kind, types = varint(types)
		n := width(kind)
		if n > uint64(len(data)) {
			return nil, fmt.Errorf("a column of %d bytes goes beyond its record", n)
		}
		v := value{bytes: data[:n]}
		if kind < 10 {
			v.number = int64(kind) - 8 // 0 and 1 have types of their own
		}
		if kind <= 6 {
			v.number = 0
			for i, b := range v.bytes {
				if v.number = v.number<<8 | int64(b); i == 0 {
					v.number = int64(int8(b))
				}
			}
		}
		row, data = append(row, v), data[n:]
	}
	return row, nil
}

// width is how many bytes a value of a type takes.
func width(kind uint64) uint64 {
	switch {
	case kind >= 12:
		return (kind - 12) / 2
	case kind <= 4:
		return kind
	case kind == 5:
		return 6
	case kind <= 7:
		return 8
	}
	return 0
}

// varint reads a number of up to nine bytes (section 1.6), and returns what is
// behind it. One that does not end is 0, with nothing behind it.
func varint(b []byte) (uint64, []byte) {
	var n uint64
	for i, c := range b {
		if i == 8 {
			return n<<8 | uint64(c), b[9:]
		}
		if n = n<<7 | uint64(c&0x7f); c < 0x80 {
			return n, b[i+1:]
		}
	}
	return 0, nil
}
