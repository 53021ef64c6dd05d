package exfat

import (
	"context"
	"encoding/binary"
	"strings"
	"unicode/utf16"

	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/internal/entries"
)

// Remnants implements [sanitize.Rememberer]: the entries of deleted files in
// directories that live. A deletion clears no more than the bit that says that
// an entry is in use, so a name is whole until its entries are used anew.
func (v *volume) Remnants(ctx context.Context, fn func(sanitize.Remnant) error) error {
	var dead entries.Dead
	t := &tree{volume: v, chained: numbers{}, piece: dead.Add}
	if err := t.walk(ctx); err != nil {
		return err
	}
	r := remnants{fn: fn, last: -1}
	if err := dead.Read(ctx, v.r, v.sector, r.entry); err != nil {
		return err
	}
	return r.flush()
}

// remnants puts the pieces of deleted names together.
type remnants struct {
	fn    func(sanitize.Remnant) error
	last  int64 // the entry before, -1 for none
	at    int64 // the first piece of the name
	owner string
	chars []uint16
	want  int // characters that the stream entry tells; 0 without one
}

// entry takes an entry that is not in use, whatever its bit says.
func (r *remnants) entry(e []byte, off int64, owner string) error {
	kind := e[0] | typeInUse
	follows := r.last == off-dirEntry
	r.last = off
	if kind != typeName || !follows {
		if err := r.flush(); err != nil {
			return err
		}
	}
	switch {
	case e[0] == typeEnd:
	case kind == typeStream:
		r.want = int(e[offNameLen])
	case kind == typeName && e[offStreamFlags] == 0 && len(r.chars) < r.want:
		if len(r.chars) == 0 {
			r.at, r.owner = off, owner
		}
		for at := offChars; at < dirEntry; at += 2 {
			r.chars = append(r.chars, binary.LittleEndian.Uint16(e[at:]))
		}
	}
	return nil
}

// flush tells the name that was put together; its end may be overwritten.
// Names without their stream entry are left out: in a cluster that held a file,
// text looks so too.
func (r *remnants) flush() error {
	chars := r.chars[:min(len(r.chars), r.want)]
	r.chars, r.want = r.chars[:0], 0
	name, _, _ := strings.Cut(string(utf16.Decode(chars)), "\x00")
	if name == "" {
		return nil
	}
	return r.fn(sanitize.Remnant{Name: name, Off: r.at, Where: r.owner})
}
