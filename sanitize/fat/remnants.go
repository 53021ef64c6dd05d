package fat

import (
	"bytes"
	"context"
	"encoding/binary"
	"strings"

	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/internal/entries"
)

// Remnants implements [sanitize.Rememberer]: the entries of deleted files in
// directories. The first character of a short name is lost with the deletion;
// a long name is whole.
func (v *volume) Remnants(ctx context.Context, fn func(sanitize.Remnant) error) error {
	var dead entries.Dead
	if err := v.tree(ctx, v.newMarks(), dead.Add, nil); err != nil {
		return err
	}
	r := remnants{v: v, fn: fn, last: -1}
	return dead.Read(ctx, v.r, v.sector, r.entry)
}

// remnants puts the pieces of deleted names together.
type remnants struct {
	v    *volume
	fn   func(sanitize.Remnant) error
	last int64 // the entry before, -1 for none
	long []uint16
	sum  byte
}

func (r *remnants) entry(e []byte, off int64, owner string) error {
	follows := r.last == off-dirEntry
	r.last = off
	if !follows {
		r.long = nil
	}
	attr := e[offAttr] & attrMask
	if len(bytes.TrimLeft(e, "\x00")) == 0 {
		r.long = nil
		return nil
	}
	if attr == attrLong {
		if r.long != nil && r.sum != e[offLongSum] || len(r.long) > 13*longPieces {
			r.long = nil
		}
		r.sum = e[offLongSum]
		r.long = append(pieceChars(e), r.long...)
		return nil
	}
	name := longName(r.long)
	r.long = nil
	if name == "" {
		if attr&attrLabel != 0 || !plainShort(e[1:11]) {
			return nil
		}
		name = shortName(append([]byte("_"), e[1:dirEntry]...))
	}
	return r.fn(sanitize.Remnant{Name: name, Off: off, Where: owner})
}

// pieceChars returns the thirteen characters of a piece of a long name.
func pieceChars(e []byte) []uint16 {
	var chars []uint16
	for _, part := range [][]byte{e[1:11], e[14:26], e[28:32]} {
		for i := 0; i < len(part); i += 2 {
			chars = append(chars, binary.LittleEndian.Uint16(part[i:]))
		}
	}
	return chars
}

// plainShort reports whether b could be of a short name.
func plainShort(b []byte) bool {
	for _, c := range b {
		if c < 0x20 || strings.IndexByte(`"*+,./:;<=>?[\]|`, c) >= 0 {
			return false
		}
	}
	return true
}
