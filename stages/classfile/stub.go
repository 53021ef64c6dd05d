package classfile

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// Stub writes a class file without members that refers to what c refers to.
// The same references give the same bytes.
func (c *Class) Stub() ([]byte, error) {
	names := append([]string{c.Name}, c.Interfaces...)
	if c.Super != "" {
		names = append(names, c.Super)
	}
	names = append(names, c.Types...)
	slices.Sort(names)
	names = slices.Compact(names)
	if 2*len(names) >= math.MaxUint16 {
		return nil, fmt.Errorf("class %s refers to %d types, too many for a stub", c.Name, len(names))
	}
	// Of each name, the text stands first and the class follows it.
	index := func(name string) uint16 {
		i, _ := slices.BinarySearch(names, name)
		return uint16(2*i + 2)
	}
	be := binary.BigEndian
	b := be.AppendUint32(nil, magic)
	b = be.AppendUint16(b, c.Minor)
	b = be.AppendUint16(b, c.Major)
	b = be.AppendUint16(b, uint16(2*len(names)+1))
	for i, name := range names {
		if len(name) > math.MaxUint16 {
			return nil, fmt.Errorf("class %s refers to a type with a name of %d bytes", c.Name, len(name))
		}
		b = append(b, tagUtf8)
		b = be.AppendUint16(b, uint16(len(name)))
		b = append(b, name...)
		b = append(b, tagClass)
		b = be.AppendUint16(b, uint16(2*i+1))
	}
	b = be.AppendUint16(b, c.Access)
	b = be.AppendUint16(b, index(c.Name))
	if c.Super == "" {
		b = be.AppendUint16(b, 0)
	} else {
		b = be.AppendUint16(b, index(c.Super))
	}
	b = be.AppendUint16(b, uint16(len(c.Interfaces)))
	for _, name := range c.Interfaces {
		b = be.AppendUint16(b, index(name))
	}
	// No fields, no methods, no attributes.
	return append(b, 0, 0, 0, 0, 0, 0), nil
}
