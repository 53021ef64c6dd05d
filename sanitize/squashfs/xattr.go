package squashfs

import (
	"encoding/binary"
	"fmt"
)

// Attributes, FORMAT struct squashfs_xattr_id_table and the following.
const (
	attributesHead = 16      // ahead of the index: where they begin, and how many rows there are
	attributesRow  = 16      // an entry of the index: where a file's are, how many, of how many bytes
	outOfLine      = 1 << 8  // in a type: the value is where its bytes say
	maxAttributes  = 1 << 12 // of a file
	maxValue       = 1 << 16 // bytes
	maxRowBytes    = 4 << 20 // of names and values, of a file
)

// attributePrefixes are indexed by the type.
var attributePrefixes = [...]string{"user.", "trusted.", "security."}

// attributes returns the extended attributes of a row; none for none32.
func (f readable) attributes(row uint32) (map[string][]byte, error) {
	start := f.start(attributeTable)
	if row == none32 || start == 0 {
		return nil, nil
	}
	le := binary.LittleEndian
	head, err := f.read(start, attributesHead)
	if err != nil {
		return nil, err
	}
	first := int64(le.Uint64(head))
	if first < superLen || first >= start {
		return nil, fmt.Errorf("attributes begin at byte %d", first)
	}
	b, err := f.entry(start+attributesHead, int64(row), int64(le.Uint32(head[8:])), attributesRow)
	if err != nil {
		return nil, err
	}
	count := le.Uint32(b[8:])
	if count > maxAttributes {
		return nil, fmt.Errorf("%d attributes", count)
	}
	c, err := f.seek(first, start, reference(le.Uint64(b)))
	if err != nil {
		return nil, err
	}
	all, room := map[string][]byte{}, maxRowBytes
	for range count {
		name, value, err := f.attribute(c, first, start)
		if err != nil {
			return nil, err
		}
		if room -= len(name) + len(value); room < 0 {
			return nil, fmt.Errorf("attributes of more than %d bytes", maxRowBytes)
		}
		all[name] = value
	}
	return all, nil
}

// attribute reads the next one. Values that several files have stand elsewhere
// in the table, which is [first, end).
func (f readable) attribute(c *cursor, first, end int64) (string, []byte, error) {
	le := binary.LittleEndian
	b, err := c.take(4)
	if err != nil {
		return "", nil, err
	}
	kind := le.Uint16(b)
	name, err := c.take(int(le.Uint16(b[2:])))
	if err != nil {
		return "", nil, err
	}
	prefix := int(kind &^ outOfLine)
	if prefix >= len(attributePrefixes) {
		return "", nil, fmt.Errorf("an attribute of type %d", kind)
	}
	value, err := c.value()
	if err == nil && kind&outOfLine != 0 {
		if len(value) != 8 {
			return "", nil, fmt.Errorf("the place of a value has %d bytes", len(value))
		}
		var there *cursor
		if there, err = f.seek(first, end, reference(le.Uint64(value))); err == nil {
			value, err = there.value()
		}
	}
	return attributePrefixes[prefix] + string(name), value, err
}

// value reads a value behind its length.
func (c *cursor) value() ([]byte, error) {
	b, err := c.take(4)
	if err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(b)
	if n > maxValue {
		return nil, fmt.Errorf("a value of %d bytes", n)
	}
	return c.take(int(n))
}
