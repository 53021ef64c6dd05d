package fat

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Offsets in a directory entry, FATGEN section "FAT Directory Structure" and
// "FAT Long Directory Entries".
const (
	offAttr        = 11
	offCase        = 12 // Windows NT: which parts of the name are lower case
	offLongSum     = 13
	offFirstHigh   = 20
	offWriteTime   = 22
	offWriteDate   = 24
	offFirstLow    = 26
	offSize        = 28
	attrReadOnly   = 0x01
	attrLabel      = 0x08
	attrDir        = 0x10
	attrLong       = 0x0f
	attrMask       = 0x3f
	longLast       = 0x40 // set in the order of the last piece, which is stored first
	longPieces     = 20   // names have at most 255 characters, 13 in a piece
	markDeleted    = 0xe5
	markKanji      = 0x05 // stands for a first character of 0xe5
	caseLowerBase  = 0x08
	caseLowerExt   = 0x10
	deletedMarkLen = 1
	endMarkLen     = 1
)

// entry is one live file or directory.
type entry struct {
	name  string
	dir   bool
	ro    bool
	first uint32
	size  int64
	mod   time.Time
}

// directory reads the entries stored in runs. It calls piece, unless nil,
// with regions that cover all of runs.
func (v *volume) directory(ctx context.Context, owner string, runs []disk.Extent, piece func(sanitize.Region)) ([]entry, error) {
	p := parser{v: v, owner: owner, piece: piece}
	// A sector holds entries whole, and the longest run is as large as the
	// volume: sector by sector keeps memory flat.
	buf := make([]byte, v.sector)
	for _, run := range runs {
		if p.ended {
			p.emit(run, sanitize.Stale)
			continue
		}
		for off := run.Off; off < run.End() && !p.ended; off += v.sector {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := sanitize.ReadFull(v.r, buf, off); err != nil {
				return nil, fmt.Errorf("reading %s: %w", owner, err)
			}
			p.sector(buf, off)
			if p.ended {
				p.emit(disk.Extent{Off: p.end, Len: endMarkLen}, sanitize.Metadata)
				p.emit(disk.Extent{Off: p.end + endMarkLen, Len: run.End() - p.end - endMarkLen}, sanitize.Stale)
			}
		}
	}
	return p.entries, nil
}

// parser walks the entries of one directory.
type parser struct {
	v       *volume
	owner   string
	piece   func(sanitize.Region)
	long    []uint16 // the long name collected so far
	sum     byte     // the checksum of the short name it belongs to
	order   int      // the piece that must follow, 0 when the name is whole
	entries []entry
	ended   bool
	end     int64 // where the end mark is
}

func (p *parser) emit(e disk.Extent, c sanitize.Class) {
	if p.piece != nil && e.Len > 0 {
		p.piece(sanitize.Region{Extent: e, Class: c, Owner: p.owner})
	}
}

func (p *parser) sector(b []byte, off int64) {
	for at := 0; at < len(b); at += dirEntry {
		e, here := b[at:at+dirEntry], disk.Extent{Off: off + int64(at), Len: dirEntry}
		switch {
		case e[0] == 0:
			p.ended, p.end = true, here.Off
			return
		case e[0] == markDeleted:
			p.long, p.order = nil, 0
			p.emit(disk.Extent{Off: here.Off, Len: deletedMarkLen}, sanitize.Metadata)
			p.emit(disk.Extent{Off: here.Off + deletedMarkLen, Len: dirEntry - deletedMarkLen}, sanitize.Stale)
			continue
		}
		p.emit(here, sanitize.Metadata)
		if e[offAttr]&attrMask == attrLong {
			p.longPiece(e)
			continue
		}
		if e[offAttr]&attrLabel == 0 && e[0] != '.' {
			p.entries = append(p.entries, p.short(e))
		}
		p.long, p.order = nil, 0
	}
}

// longPiece collects thirteen characters of a long name. Pieces come last
// first; one out of order makes the name an orphan, as Windows has it.
func (p *parser) longPiece(e []byte) {
	n := int(e[0] &^ longLast)
	switch {
	case e[0]&longLast != 0 && n >= 1 && n <= longPieces:
		p.long, p.sum = nil, e[offLongSum]
	case n == 0 || n != p.order || e[offLongSum] != p.sum:
		p.long, p.order = nil, 0
		return
	}
	p.long = append(pieceChars(e), p.long...)
	p.order = n - 1
}

func (p *parser) short(e []byte) entry {
	le := binary.LittleEndian
	d := entry{
		dir:   e[offAttr]&attrDir != 0,
		ro:    e[offAttr]&attrReadOnly != 0,
		first: uint32(le.Uint16(e[offFirstLow:])),
		size:  int64(le.Uint32(e[offSize:])),
		mod:   dosTime(le.Uint16(e[offWriteDate:]), le.Uint16(e[offWriteTime:])),
	}
	if p.v.bits == 32 {
		d.first |= uint32(le.Uint16(e[offFirstHigh:])) << 16
	}
	if p.long != nil && p.order == 0 && p.sum == shortSum(e[:11]) {
		d.name = longName(p.long)
	}
	if d.name == "" {
		d.name = shortName(e)
	}
	return d
}

func longName(chars []uint16) string {
	for i, c := range chars {
		if c == 0 {
			chars = chars[:i]
			break
		}
	}
	return string(utf16.Decode(chars))
}

// shortSum is the checksum that ties a long name to its short one.
func shortSum(name []byte) (sum byte) {
	for _, c := range name {
		sum = sum<<7 | sum>>1
		sum += c
	}
	return sum
}

func shortName(e []byte) string {
	b := bytes.Clone(e[:11])
	if b[0] == markKanji {
		b[0] = markDeleted
	}
	base := strings.TrimRight(oem(b[:8]), " ")
	ext := strings.TrimRight(oem(b[8:]), " ")
	if e[offCase]&caseLowerBase != 0 {
		base = strings.ToLower(base)
	}
	if e[offCase]&caseLowerExt != 0 {
		ext = strings.ToLower(ext)
	}
	if ext == "" {
		return base
	}
	return base + "." + ext
}

// oem decodes a name in the code page of its writer. The volume does not say
// which one that was; bytes above ASCII are taken as Latin-1.
func oem(b []byte) string {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}

// dosTime takes a local time as UTC: the zone is not stored.
func dosTime(date, clock uint16) time.Time {
	if date == 0 {
		return time.Unix(0, 0).UTC()
	}
	return time.Date(1980+int(date>>9), time.Month(date>>5&15), int(date&31),
		int(clock>>11), int(clock>>5&63), int(clock&31)*2, 0, time.UTC)
}
