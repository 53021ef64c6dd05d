// Package classfile reduces Java class files to the types that they refer to.
//
// An edit of a program changes most of its class files and hardly ever what
// they refer to. A [Stub] is what stays: a class file of the same name, with
// the same superclass and interfaces, whose constant pool names every other
// type and which has no members. A tool that reads dependencies, such as
// jdeps, finds the same in a stub as in the class it was made from.
//
// Section numbers are those of "The Java Virtual Machine Specification", Java
// SE 17. References are the classes of the constant pool (4.4), the descriptors
// (4.3) of members and of what is called, signatures (4.7.9.1), and the types
// of annotations (4.7.16) and of their values. What only a debugger needs,
// annotations of types, and annotations that no program sees while it runs
// (4.7.17) are not looked at.
package classfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Class is what a class file says of other types. Names have the internal form,
// such as java/lang/Object.
type Class struct {
	Major, Minor uint16 // version of the format
	Access       uint16 // access_flags (4.1)
	Name         string
	Super        string // empty for java/lang/Object
	Interfaces   []string
	// Types are all types that are referred to, sorted, the above included.
	// Arrays are told by their elements.
	Types []string
}

// Constant pool tags (table 4.4-A).
const (
	tagUtf8          = 1
	tagInteger       = 3
	tagFloat         = 4
	tagLong          = 5
	tagDouble        = 6
	tagClass         = 7
	tagString        = 8
	tagFieldref      = 9
	tagMethodref     = 10
	tagIfaceref      = 11
	tagNameAndType   = 12
	tagMethodHandle  = 15
	tagMethodType    = 16
	tagDynamic       = 17
	tagInvokeDynamic = 18
	tagModule        = 19
	tagPackage       = 20
)

// sizes are the bytes behind the tag of a constant, by tag; that of Utf8 is its
// own length besides.
var sizes = map[byte]int{
	tagUtf8: 2, tagInteger: 4, tagFloat: 4, tagLong: 8, tagDouble: 8, tagClass: 2, tagString: 2,
	tagFieldref: 4, tagMethodref: 4, tagIfaceref: 4, tagNameAndType: 4, tagMethodHandle: 3,
	tagMethodType: 2, tagDynamic: 4, tagInvokeDynamic: 4, tagModule: 2, tagPackage: 2,
}

const magic = 0xCAFEBABE

var errShort = errors.New("the class file ends too early")

// Parse reads a class file.
func Parse(b []byte) (*Class, error) {
	be := binary.BigEndian
	if len(b) < 10 || be.Uint32(b) != magic {
		return nil, errors.New("not a class file")
	}
	p, rest, err := readPool(b[8:])
	if err != nil {
		return nil, err
	}
	if len(rest) < 8 {
		return nil, errShort
	}
	c := &Class{Minor: be.Uint16(b[4:]), Major: be.Uint16(b[6:]), Access: be.Uint16(rest)}
	if c.Name, err = p.class(be.Uint16(rest[2:])); err != nil {
		return nil, err
	}
	if super := be.Uint16(rest[4:]); super != 0 {
		if c.Super, err = p.class(super); err != nil {
			return nil, err
		}
	}
	n := int(be.Uint16(rest[6:]))
	if rest = rest[8:]; len(rest) < 2*n {
		return nil, errShort
	}
	for i := range n {
		name, err := p.class(be.Uint16(rest[2*i:]))
		if err != nil {
			return nil, err
		}
		c.Interfaces = append(c.Interfaces, name)
	}
	r := &reader{pool: p, rest: rest[2*n:]}
	if err := r.class(); err != nil {
		return nil, err
	}
	slices.Sort(r.types)
	c.Types = slices.Compact(r.types)
	return c, nil
}

// pool is a constant pool. Entry 0 does not exist.
type pool struct {
	tags []byte
	// refs and second are the indexes that an entry holds.
	refs, second []uint16
	text         map[uint16]string
}

// readPool reads the pool and returns what follows it.
func readPool(b []byte) (*pool, []byte, error) {
	be := binary.BigEndian
	n := int(be.Uint16(b))
	b = b[2:]
	p := &pool{tags: make([]byte, n), refs: make([]uint16, n), second: make([]uint16, n), text: map[uint16]string{}}
	for i := 1; i < n; i++ {
		if len(b) < 1 {
			return nil, nil, errShort
		}
		tag := b[0]
		size, ok := sizes[tag]
		if !ok {
			return nil, nil, fmt.Errorf("constant %d has the unknown tag %d", i, tag)
		}
		if b = b[1:]; len(b) < size {
			return nil, nil, errShort
		}
		p.tags[i] = tag
		p.refs[i] = be.Uint16(b)
		if size >= 4 {
			p.second[i] = be.Uint16(b[2:])
		}
		if tag == tagUtf8 {
			size += int(p.refs[i])
			if len(b) < size {
				return nil, nil, errShort
			}
			p.text[uint16(i)] = string(b[2:size])
		}
		b = b[size:]
		if tag == tagLong || tag == tagDouble {
			i++ // these take two places (4.4.5)
		}
	}
	return p, b, nil
}

// class returns the name that a Class constant holds.
func (p *pool) class(i uint16) (string, error) {
	if int(i) >= len(p.tags) || p.tags[i] != tagClass {
		return "", fmt.Errorf("constant %d is not a class", i)
	}
	name, ok := p.text[p.refs[i]]
	if !ok || name == "" {
		return "", fmt.Errorf("the class in constant %d has no name", i)
	}
	return name, nil
}
