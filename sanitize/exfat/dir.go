package exfat

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// listing is what a directory holds.
type listing struct {
	sets []*set
	// Of the root directory only.
	bitmap, upcase *allocation
	label          string
}

// directory reads the entries in runs. It calls piece, unless nil, with
// regions that cover all of runs.
func (v *volume) directory(ctx context.Context, owner string, runs []disk.Extent, piece func(sanitize.Region)) (*listing, error) {
	p := parser{owner: owner, piece: piece}
	// A sector holds entries whole; a run may be as large as the volume.
	b := make([]byte, v.sector)
	for _, run := range runs {
		for off := run.Off; off < run.End() && !p.ended; off += v.sector {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := sanitize.ReadFull(v.r, b, off); err != nil {
				return nil, fmt.Errorf("reading %s: %w", owner, err)
			}
			for at := 0; at < len(b) && !p.ended; at += dirEntry {
				if err := p.entry(b[at:at+dirEntry], off+int64(at)); err != nil {
					return nil, fmt.Errorf("reading %s at byte %d: %w", owner, off+int64(at), err)
				}
			}
		}
		if p.ended {
			from := max(run.Off, p.next)
			p.emit(from, run.End()-from, sanitize.Stale)
			p.next = 0
		}
	}
	if p.want > 0 {
		return nil, fmt.Errorf("reading %s: it ends within a file", owner)
	}
	return &p.listing, nil
}

// parser walks the entries of one directory.
type parser struct {
	listing
	owner string
	piece func(sanitize.Region)
	slots []slot // of the set that is being read
	want  int    // secondary entries that it lacks
	ended bool
	next  int64 // behind the end mark, in the run that holds it
}

func (p *parser) emit(off, n int64, c sanitize.Class) {
	if p.piece != nil && n > 0 {
		p.piece(sanitize.Region{Extent: disk.Extent{Off: off, Len: n}, Class: c, Owner: p.owner})
	}
}

func (p *parser) entry(e []byte, off int64) error {
	kind := e[0]
	switch {
	case p.want > 0 && kind&(typeInUse|typeSecondary) != typeInUse|typeSecondary:
		return fmt.Errorf("an entry of type %#x among those of a file", kind)
	case p.want > 0:
		p.emit(off, dirEntry, sanitize.Metadata)
		return p.secondary(e, off)
	case kind == typeEnd:
		p.emit(off, 1, sanitize.Metadata)
		p.ended, p.next = true, off+1
		return nil
	case kind&typeInUse == 0:
		p.emit(off, 1, sanitize.Metadata)
		p.emit(off+1, dirEntry-1, sanitize.Stale)
		return nil
	case kind == typeLabel:
		return p.volumeLabel(e, off)
	}
	p.emit(off, dirEntry, sanitize.Metadata)
	return p.primary(e, off)
}

// primary begins a set, or takes an entry that is none.
func (p *parser) primary(e []byte, off int64) error {
	switch kind := e[0]; {
	case kind == typeBitmap || kind == typeUpcase:
		a := parseAllocation(e, int64(binary.LittleEndian.Uint64(e[offDataLen:])))
		place := &p.bitmap
		if kind == typeUpcase {
			place = &p.upcase
		}
		if *place != nil {
			return fmt.Errorf("a second entry of type %#x", kind)
		}
		*place = &a
		return nil
	case kind == typePadding:
		return nil
	case kind&typeSecondary != 0:
		return errors.New("an entry of a file without the file")
	case kind != typeFile && kind&typeBenign == 0:
		return fmt.Errorf("an entry of type %#x is not supported", kind)
	}
	p.slots, p.want = nil, int(e[offCount])
	return p.secondary(e, off)
}

// secondary adds an entry to the set.
func (p *parser) secondary(e []byte, off int64) error {
	if len(p.slots) > 0 {
		p.want--
	}
	p.slots = append(p.slots, slot{off: off, raw: [dirEntry]byte(e)})
	if p.want > 0 || p.slots[0].raw[0] != typeFile {
		return nil
	}
	s, err := parseSet(p.slots)
	if err != nil {
		return err
	}
	p.sets = append(p.sets, s)
	return nil
}

// volumeLabel takes the label. What is behind it has no meaning.
func (p *parser) volumeLabel(e []byte, off int64) error {
	n := int(e[offCount])
	if n > labelChars {
		return fmt.Errorf("a label of %d characters", n)
	}
	chars := make([]uint16, n)
	for i := range chars {
		chars[i] = binary.LittleEndian.Uint16(e[offChars+2*i:])
	}
	p.label = string(utf16.Decode(chars))
	used := int64(offChars + 2*n)
	p.emit(off, used, sanitize.Metadata)
	p.emit(off+used, dirEntry-used, sanitize.Stale)
	return nil
}
