// Package match finds many short byte strings in one pass.
//
// A [Set] is made of anchors. It looks at every second pair of bytes only:
// an anchor of three bytes or more holds a whole pair at an even place,
// wherever it begins, so one look-up for two bytes and one for the byte behind
// them find the place, and a comparison confirms it. For each anchor the pair
// is chosen among its bytes for being rare in what disks hold, so that
// confirming is rare too.
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
	// pairs tells, for each pair of bytes, what may follow it in an anchor: the
	// bits of [Set.next]. It is zero for a pair that no anchor holds.
	pairs [1 << 16]uint8
	// next gives each byte one of eight bits, by its three low bits: those tell
	// letters apart.
	next [1 << 8]uint8
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
	for c := range s.next {
		s.next[c] = 1 << (c & 7)
	}
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

func (s *Set) add(a Anchor, p place) {
	for _, x := range cases(a.Bytes[p.at], a.Fold) {
		for _, y := range cases(a.Bytes[p.at+1], a.Fold) {
			pair := uint16(x) | uint16(y)<<8
			s.pairs[pair] |= s.following(a, p.at+2)
			s.lists[pair] = append(s.lists[pair], p)
		}
	}
}

// following returns the bits of what may stand at byte at of the anchor; all
// of them behind its end.
func (s *Set) following(a Anchor, at int) (bits uint8) {
	if at >= len(a.Bytes) {
		return 0xff
	}
	for _, c := range cases(a.Bytes[at], a.Fold) {
		bits |= s.next[c]
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
	const step = 8
	i := from
	if end := min(to, len(b)-step); i+step <= end {
		v := binary.LittleEndian.Uint64(b[i:])
		for ; i+step <= end; i += step {
			w := binary.LittleEndian.Uint64(b[i+step:])
			// Four pairs and the byte behind each, without a branch between:
			// guessing them wrong would cost more than looking.
			t := s.pairs[uint16(v)]&s.next[uint8(v>>16)] | s.pairs[uint16(v>>16)]&s.next[uint8(v>>32)] |
				s.pairs[uint16(v>>32)]&s.next[uint8(v>>48)] | s.pairs[uint16(v>>48)]&s.next[uint8(w)]
			if t != 0 {
				s.some(b, i, i+step, hit)
			}
			v = w
		}
	}
	s.some(b, i, to, hit)
}

// some is Find for a few bytes.
func (s *Set) some(b []byte, from, to int, hit func(anchor, pos int)) {
	for i := from; i < to && i+2 <= len(b); i += 2 {
		pair := binary.LittleEndian.Uint16(b[i:])
		bits := s.pairs[pair]
		if bits == 0 || i+2 < len(b) && bits&s.next[b[i+2]] == 0 {
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
