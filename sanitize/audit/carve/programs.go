package carve

import (
	"encoding/binary"
	"fmt"
)

// elfHeader is what the header of an ELF file tells of its tables.
type elfHeader struct {
	binary.ByteOrder
	wide                     bool // 64 bits
	segments, sections       int64
	segmentLen, segmentCount int64
	sectionLen, sectionCount int64
	headerLen                int64
}

// parseELF reads the header h, of 64 bytes (System V ABI, chapter 4).
func parseELF(h []byte) elfHeader {
	e := elfHeader{ByteOrder: binary.LittleEndian, wide: h[4] == 2}
	if h[5] == 2 {
		e.ByteOrder = binary.BigEndian
	}
	counts := h[42:]
	e.segments, e.sections, e.headerLen = int64(e.Uint32(h[28:])), int64(e.Uint32(h[32:])), 52
	if e.wide {
		counts = h[54:]
		e.segments, e.sections, e.headerLen = e.far(h[32:]), e.far(h[40:]), 64
	}
	e.segmentLen, e.segmentCount = int64(e.Uint16(counts)), int64(e.Uint16(counts[2:]))
	e.sectionLen, e.sectionCount = int64(e.Uint16(counts[4:])), int64(e.Uint16(counts[6:]))
	return e
}

// far reads 64 bits, small enough to be added up.
func (e elfHeader) far(b []byte) int64 { return int64(e.Uint64(b) & (1<<60 - 1)) }

// segmentEnd and sectionEnd return where what an entry describes ends.
func (e elfHeader) segmentEnd(b []byte) int64 {
	if e.wide {
		return e.far(b[8:]) + e.far(b[32:])
	}
	return int64(e.Uint32(b[4:])) + int64(e.Uint32(b[16:]))
}

func (e elfHeader) sectionEnd(b []byte) int64 {
	const noBits = 8
	switch {
	case e.Uint32(b[4:]) == noBits:
		return 0
	case e.wide:
		return e.far(b[24:]) + e.far(b[32:])
	}
	return int64(e.Uint32(b[16:])) + int64(e.Uint32(b[20:]))
}

// measureELF takes the last byte of segments, sections and their tables.
func measureELF(v *View) (Found, bool) {
	h := v.Bytes(0, 64)
	if h == nil || h[4] != 1 && h[4] != 2 || h[5] != 1 && h[5] != 2 || h[6] != 1 {
		return none()
	}
	e := parseELF(h)
	kind := e.Uint16(h[16:])
	if kind == 0 || kind > 4 || e.Uint32(h[20:]) != 1 {
		return none()
	}
	size := max(e.headerLen, e.sections+e.sectionLen*e.sectionCount)
	for _, t := range []struct {
		off, n, count int64
		end           func([]byte) int64
	}{{e.segments, e.segmentLen, e.segmentCount, e.segmentEnd}, {e.sections, e.sectionLen, e.sectionCount, e.sectionEnd}} {
		for i := range t.count {
			b := v.Bytes(t.off+i*t.n, 40)
			if b == nil || t.n < 32 {
				break
			}
			size = max(size, t.end(b))
		}
	}
	f, ok := fits(v, size)
	f.Detail = []string{"", "object", "program", "program or library", "core dump"}[kind]
	return f, ok
}

// dosStub is how far ahead of a PE header the file may begin: as far as
// linkers of the last decades go.
const dosStub = 1024

// measurePE begins at the PE signature, and finds the DOS header that leads to
// it (Microsoft PE format, sections "MS-DOS Stub" and "Section Table").
func measurePE(v *View) (Found, bool) {
	le := binary.LittleEndian
	h := v.Bytes(0, 24)
	if h == nil {
		return none()
	}
	sections, optional := int64(le.Uint16(h[6:])), int64(le.Uint16(h[20:]))
	back := int64(-1)
	for n := int64(64); n <= dosStub && n <= v.Before(); n += 8 {
		if b := v.Bytes(-n, 64); b != nil && b[0] == 'M' && b[1] == 'Z' && int64(le.Uint32(b[60:])) == n {
			back = n
			break
		}
	}
	if back < 0 || sections > 96 || optional < 96 {
		return none()
	}
	end := int64(0)
	for i := range sections {
		s := v.Bytes(24+optional+40*i, 40)
		if s == nil {
			break
		}
		end = max(end, int64(le.Uint32(s[20:]))+int64(le.Uint32(s[16:])))
	}
	if end < back {
		return none()
	}
	f := Found{Back: back, Size: end, Confidence: High}
	if end-back > v.Len() {
		f.Size, f.Confidence = back+v.Len(), Medium
	}
	if h[23]&0x20 != 0 {
		f.Name, f.Title = "dll", "Windows library"
	}
	return f, true
}

// classConstants are the lengths of the entries of a constant pool by their
// tag; 0 is none (JVMS section 4.4). Utf8 (1) has its own.
var classConstants = [21]int64{3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2, 17: 4, 18: 4, 19: 2, 20: 2}

// measureClass follows a class file to its last attribute (JVMS chapter 4).
func measureClass(v *View) (Found, bool) {
	be := binary.BigEndian
	h := v.Bytes(4, 6)
	if h == nil {
		return none()
	}
	major, count := be.Uint16(h[2:]), be.Uint16(h[4:])
	if major < 45 || major > 90 || count < 2 {
		return none()
	}
	off := int64(10)
	for i := uint16(1); i < count; i++ {
		b := v.Bytes(off, 3)
		if b == nil {
			return found(min(off, v.Len()), Low)
		}
		tag := b[0]
		switch {
		case tag == 1:
			off += 3 + int64(be.Uint16(b[1:]))
			continue
		case int(tag) >= len(classConstants) || classConstants[tag] == 0:
			return none()
		case tag == 5 || tag == 6:
			i++
		}
		off += 1 + classConstants[tag]
	}
	c := classWalk{v: v, off: off + 6}
	for range c.u2() {
		c.off += 2
	}
	for range 2 { // fields, methods
		for range c.u2() {
			c.off += 6
			c.attributes()
		}
	}
	c.attributes()
	if c.cut {
		return found(min(c.off, v.Len()), Medium)
	}
	f, ok := fits(v, c.off)
	f.Detail = fmt.Sprintf("class file version %d", major)
	return f, ok
}

type classWalk struct {
	v   *View
	off int64
	cut bool
}

func (c *classWalk) u2() uint16 {
	b := c.v.Bytes(c.off, 2)
	c.off += 2
	if b == nil || c.cut {
		c.cut = true
		return 0
	}
	return binary.BigEndian.Uint16(b)
}

func (c *classWalk) attributes() {
	for range c.u2() {
		b := c.v.Bytes(c.off, 6)
		if b == nil || c.cut {
			c.cut = true
			return
		}
		c.off += 6 + int64(binary.BigEndian.Uint32(b[2:]))
	}
}
