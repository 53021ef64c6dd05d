package classfile

import (
	"encoding/binary"
	"fmt"
)

// reader walks what follows the interfaces, and collects types. The first
// error ends it: every later read gives zeros.
type reader struct {
	pool  *pool
	rest  []byte
	types []string
	depth int
	err   error
}

// take returns the next n bytes.
func (r *reader) take(n int) []byte {
	if r.err != nil || n > len(r.rest) {
		if r.err == nil {
			r.err = errShort
		}
		r.rest = nil
		return make([]byte, min(max(n, 0), 4))
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) u2() uint16 { return binary.BigEndian.Uint16(r.take(2)) }

// text is the next index into the pool, as text; "" when it is none.
func (r *reader) text() string { return r.pool.text[r.u2()] }

// class collects from the pool, the members and the class's own attributes.
func (r *reader) class() error {
	for i, tag := range r.pool.tags {
		switch tag {
		case tagClass:
			name, err := r.pool.class(uint16(i))
			if err != nil {
				return err
			}
			if name[0] == '[' {
				r.types = appendTypes(r.types, name)
			} else {
				r.types = append(r.types, name)
			}
		case tagMethodType:
			r.types = appendTypes(r.types, r.pool.text[r.pool.refs[i]])
		case tagNameAndType:
			r.types = appendTypes(r.types, r.pool.text[r.pool.second[i]])
		}
	}
	for range 2 { // fields, then methods
		for range r.u2() {
			r.take(4) // access, name
			r.types = appendTypes(r.types, r.text())
			r.attributes()
			if r.err != nil {
				return r.err
			}
		}
	}
	r.attributes()
	return r.err
}

// attributes reads the attributes that name types (4.7) and skips the others.
func (r *reader) attributes() {
	for range r.u2() {
		name := r.text()
		n := int(binary.BigEndian.Uint32(r.take(4)))
		after := &reader{pool: r.pool, rest: r.take(n)}
		if r.err != nil {
			return
		}
		switch name {
		case "Signature":
			after.types = appendTypes(nil, after.text())
		case "AnnotationDefault":
			after.value()
		case "RuntimeVisibleAnnotations":
			after.annotations()
		case "RuntimeVisibleParameterAnnotations":
			for range after.take(1)[0] {
				after.annotations()
			}
		}
		if after.err != nil {
			r.err = fmt.Errorf("attribute %s: %w", name, after.err)
			return
		}
		r.types = append(r.types, after.types...)
	}
}

// annotations reads a table of annotations (4.7.16).
func (r *reader) annotations() {
	for range r.u2() {
		r.annotation()
		if r.err != nil {
			return
		}
	}
}

func (r *reader) annotation() {
	r.types = appendTypes(r.types, r.text())
	for range r.u2() {
		r.take(2) // name
		r.value()
		if r.err != nil {
			return
		}
	}
}

// value reads the value of an annotation's element (4.7.16.1).
func (r *reader) value() {
	if r.depth++; r.depth > maxDepth {
		r.err = fmt.Errorf("annotations are nested more than %d deep", maxDepth)
	}
	defer func() { r.depth-- }()
	switch tag := r.take(1)[0]; tag {
	case 'e':
		r.types = appendTypes(r.types, r.text())
		r.take(2)
	case 'c':
		r.types = appendTypes(r.types, r.text())
	case '@':
		r.annotation()
	case '[':
		for range r.u2() {
			r.value()
			if r.err != nil {
				return
			}
		}
	default: // a constant of the pool
		r.take(2)
	}
}
