// Package match finds many short byte strings in one pass.
//
// A [Set] is made of anchors. It looks at every second pair of bytes only:
// an anchor of three bytes or more holds a whole pair at an even place,
// wherever it begins, so one look-up for two bytes finds the place and a
// comparison confirms it. For each anchor the pair is chosen among its bytes
// for being rare in what disks hold, so that confirming is rare too.
//
//	s := match.New([]match.Anchor{{Bytes: []byte("%PDF-")}})
//	s.Find(buf, 0, len(buf), func(anchor, pos int) { ... })
package match

import (
	"bytes"
	"encoding/binary"
)

// MinAnchor is the least number of bytes of an anchor.
const MinAnchor = 3

// Anchor is a string to find.
type Anchor struct {
	// Bytes has [MinAnchor] bytes at least.
	Bytes []byte
	// Fold lets ASCII letters match in either case; Bytes are in lower case.
	Fold bool
}

// Set finds anchors. It does not change and serves many goroutines.
type Set struct {
	anchors []Anchor
	// pairs tells, for each pair of bytes, what may follow it in an anchor: a
	// bit for each value of the three low bits of the next byte. It is zero
	// for a pair that no anchor holds.
	pairs [1 << 16]uint8
	// lists leads from a pair to the anchors that it may belong to.
	lists [1 << 16][]place
	// longest is the length of the longest anchor.
	longest int
}

// place says that a pair is the one at byte at of an anchor.
type place struct {
	anchor, at int
}

// New makes a set. It panics on an anchor below [MinAnchor] bytes: anchors are
// constants, or were checked where they were read.
func New(anchors []Anchor) *Set {
	s := &Set{anchors: anchors}
	for i, a := range anchors {
		if len(a.Bytes) < MinAnchor {
			panic("match: an anchor is too short")
		}
		s.longest = max(s.longest, len(a.Bytes))
		at := a.rarest()
		s.add(a, place{i, at})
		s.add(a, place{i, at + 1})
	}
	return s
}

// Longest returns the length of the longest anchor.
func (s *Set) Longest() int { return s.longest }

// rarest returns where the three bytes are that occur least on disks.
func (a Anchor) rarest() int {
	best, at := 1<<30, 0
	for i := 0; i+MinAnchor <= len(a.Bytes); i++ {
		b := a.Bytes[i:]
		// Both pairs cost: that of even and that of odd places.
		if n := common(b[0])*common(b[1]) + common(b[1])*common(b[2]); n < best {
			best, at = n, i
		}
	}
	return at
}

// common weighs how often a byte occurs in text and in programs.
func common(b byte) int {
	switch {
	case b == 0:
		return 60
	case bytes.IndexByte([]byte(" etaoinsr"), b) >= 0:
		return 30
	case b >= 'a' && b <= 'z' || b == 0xff || b == 1:
		return 15
	case b >= '0' && b <= '9' || b == '\n' || b == '-' || b == '.' || b == '/' || b == '<' || b == '=' || b == '"':
		return 8
	case b >= 'A' && b <= 'Z' || b == '_':
		return 5
	case b < 0x20:
		return 4
	}
	return 2
}

func (s *Set) add(a Anchor, p place) {
	for _, x := range cases(a.Bytes[p.at], a.Fold) {
		for _, y := range cases(a.Bytes[p.at+1], a.Fold) {
			pair := uint16(x) | uint16(y)<<8
			s.pairs[pair] |= a.following(p.at + 2)
			s.lists[pair] = append(s.lists[pair], p)
		}
	}
}

// following returns the bits of what may stand at byte at of the anchor; all
// of them behind its end.
func (a Anchor) following(at int) (bits uint8) {
	if at >= len(a.Bytes) {
		return 0xff
	}
	for _, c := range cases(a.Bytes[at], a.Fold) {
		bits |= 1 << (c & 7)
	}
	return bits
}

func cases(b byte, fold bool) []byte {
	if fold && b >= 'a' && b <= 'z' {
		return []byte{b, b - 'a' + 'A'}
	}
	return []byte{b}
}

// Find calls hit for each anchor whose chosen pair lies at or after from and
// before to; both are even, but to may be the length of b. Bytes of b around
// them complete the anchors at the borders. Each place is found once when
// ranges are searched side by side. The order is that of the pairs.
func (s *Set) Find(b []byte, from, to int, hit func(anchor, pos int)) {
	i := from
	for ; i+16 <= to; i += 16 {
		v, w := binary.LittleEndian.Uint64(b[i:]), binary.LittleEndian.Uint64(b[i+8:])
		if s.pairs[uint16(v)]|s.pairs[uint16(v>>16)]|s.pairs[uint16(v>>32)]|s.pairs[uint16(v>>48)] != 0 {
			s.some(b, i, i+8, hit)
		}
		if s.pairs[uint16(w)]|s.pairs[uint16(w>>16)]|s.pairs[uint16(w>>32)]|s.pairs[uint16(w>>48)] != 0 {
			s.some(b, i+8, i+16, hit)
		}
	}
	s.some(b, i, to, hit)
}

// some is Find for a few bytes.
func (s *Set) some(b []byte, from, to int, hit func(anchor, pos int)) {
	for i := from; i < to && i+2 <= len(b); i += 2 {
		pair := binary.LittleEndian.Uint16(b[i:])
		next := s.pairs[pair]
		if next == 0 || i+2 < len(b) && next>>(b[i+2]&7)&1 == 0 {
			continue
		}
		for _, p := range s.lists[pair] {
			if pos := i - p.at; pos >= 0 && s.anchors[p.anchor].at(b[pos:]) {
				hit(p.anchor, pos)
			}
		}
	}
}

// at reports whether b begins with the anchor.
func (a Anchor) at(b []byte) bool {
	if len(b) < len(a.Bytes) {
		return false
	}
	if !a.Fold {
		return bytes.Equal(b[:len(a.Bytes)], a.Bytes)
	}
	return foldEqual(b[:len(a.Bytes)], a.Bytes)
}

// foldEqual compares b with lower, which is in lower case.
func foldEqual(b, lower []byte) bool {
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
