package iso9660

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Offsets in a directory record, ECMA §9.1.
const (
	recExtended = 1 // sectors of an extended attribute record
	recPlace    = 2
	recSize     = 10
	recFlags    = 25
	recName     = 33
	flagDir     = 2
	maxRecords  = 1 << 24
)

// Regions accounts for every byte; see the package comment.
func (f *filesystem) Regions(ctx context.Context, emit func(sanitize.Region) error) error {
	a := &account{f: f, ctx: ctx, seen: map[int64]bool{}}
	a.add(0, systemArea*sector, sanitize.BootCode, "system area")
	a.add(systemArea*sector, int64(len(f.descriptors))*sector, sanitize.Metadata, "volume descriptors")
	for _, b := range f.descriptors {
		if err := a.descriptor(b); err != nil {
			return err
		}
	}
	rest := func(e disk.Extent) error { return a.unreached(e, emit) }
	if err := sanitize.Tile(disjoint(a.pieces), 0, f.end, emit, rest); err != nil {
		return err
	}
	return sanitize.Tail(f.r, f.end, emit)
}

type account struct {
	f       *filesystem
	ctx     context.Context
	pieces  []sanitize.Region
	seen    map[int64]bool // directories
	records int
}

func (a *account) add(off, n int64, c sanitize.Class, owner string) {
	if n > 0 {
		a.pieces = append(a.pieces, sanitize.Region{Extent: disk.Extent{Off: off, Len: n}, Class: c, Owner: owner})
	}
}

// inside refuses what reaches out of the volume.
func (a *account) inside(off, n int64, what string) error {
	if off < 0 || n < 0 || off > a.f.end || n > a.f.end-off {
		return fmt.Errorf("%s has %d bytes at byte %d of %d", what, n, off, a.f.end)
	}
	return nil
}

func (a *account) descriptor(b []byte) error {
	le, be := binary.LittleEndian, binary.BigEndian
	switch b[0] {
	case kindBoot:
		const catalog = "boot catalogue"
		at := int64(le.Uint32(b[offCatalog:])) * sector
		if at == 0 {
			return nil
		}
		a.add(at, sector, sanitize.Metadata, catalog)
		return a.inside(at, sector, catalog)
	case kindPrimary, kindSupplementary:
	default:
		return nil
	}
	size := int64(le.Uint32(b[offTableSize:]))
	for _, at := range []uint32{le.Uint32(b[offTableLE:]), le.Uint32(b[offTableLEOpt:]), be.Uint32(b[offTableBE:]), be.Uint32(b[offTableBEOpt:])} {
		if at == 0 {
			continue
		}
		if err := a.inside(int64(at)*sector, size, "a path table"); err != nil {
			return err
		}
		a.add(int64(at)*sector, size, sanitize.Metadata, "path table")
	}
	return a.record(b[offRoot:offRoot+rootLen], "/")
}

// record accounts for what a directory record leads to. Directories are not
// met twice; files may share their content.
func (a *account) record(p []byte, path string) error {
	le := binary.LittleEndian
	at, n := (int64(le.Uint32(p[recPlace:]))+int64(p[recExtended]))*sector, int64(le.Uint32(p[recSize:]))
	if err := a.inside(at, n, path); err != nil {
		return err
	}
	if p[recExtended] > 0 {
		a.add(at-int64(p[recExtended])*sector, int64(p[recExtended])*sector, sanitize.Metadata, path)
	}
	if p[recFlags]&flagDir == 0 {
		a.add(at, n, sanitize.Live, path)
		return nil
	}
	if a.seen[at] {
		return nil
	}
	a.seen[at] = true
	b := make([]byte, sector)
	for off := at; off < at+n; off += sector {
		if err := a.ctx.Err(); err != nil {
			return err
		}
		if err := sanitize.ReadFull(a.f.r, b, off); err != nil {
			return err
		}
		if err := a.directory(b, off, path); err != nil {
			return fmt.Errorf("reading directory %s: %w", path, err)
		}
	}
	return nil
}

// directory parses one sector of a directory: records do not cross sectors,
// and a length of zero ends them.
func (a *account) directory(b []byte, off int64, path string) error {
	at := 0
	for at < sector && b[at] != 0 {
		length := int(b[at])
		if length < recName+1 || at+length > sector || int(b[at+recName-1]) > length-recName {
			return fmt.Errorf("a record at byte %d is malformed", at)
		}
		if a.records++; a.records > maxRecords {
			return fmt.Errorf("more than %d records", maxRecords)
		}
		p := b[at : at+length]
		name := string(p[recName : recName+int(p[recName-1])])
		if err := a.continuation(p); err != nil {
			return err
		}
		if name != "\x00" && name != "\x01" { // the directory itself, and its parent
			if err := a.record(p, path+name+"/"[:(p[recFlags]&flagDir)/flagDir]); err != nil {
				return err
			}
		}
		at += length
	}
	kept := min(at+1, sector) // with the length that ends the records
	a.add(off, int64(kept), sanitize.Metadata, "directory "+path)
	a.add(off+int64(kept), int64(sector-kept), sanitize.Stale, "directory "+path)
	return nil
}

// continuation accounts for the areas in which Rock Ridge goes on (IEEE P1281
// §5.1, "CE"). They are read for more of the same kind.
func (a *account) continuation(p []byte) error {
	name := recName + int(p[recName-1])
	use := p[min(name+1-int(p[recName-1])%2, len(p)):]
	for hops := 0; len(use) >= 4; {
		length := int(use[2])
		if length < 4 || length > len(use) {
			return nil
		}
		if string(use[:2]) != "CE" || length < 28 {
			use = use[length:]
			continue
		}
		le := binary.LittleEndian
		off := int64(le.Uint32(use[4:]))*sector + int64(le.Uint32(use[12:]))
		n := int64(le.Uint32(use[20:]))
		if hops++; hops > 32 || n > sector {
			return fmt.Errorf("a continuation area of %d bytes", n)
		}
		if err := a.inside(off, n, "a continuation area"); err != nil {
			return err
		}
		a.add(off, n, sanitize.Metadata, "continuation area")
		use = make([]byte, n)
		if err := sanitize.ReadFull(a.f.r, use, off); err != nil {
			return err
		}
	}
	return nil
}

// unreached accounts for bytes that nothing leads to: the rest of a sector is
// dead, whole sectors are unknown.
func (a *account) unreached(e disk.Extent, emit func(sanitize.Region) error) error {
	rest := min((e.Off+sector-1)/sector*sector, e.End())
	if rest > e.Off {
		g := sanitize.Region{Extent: disk.Extent{Off: e.Off, Len: rest - e.Off}, Class: sanitize.Slack, Owner: "rest of a sector"}
		if err := emit(g); err != nil {
			return err
		}
	}
	if rest == e.End() {
		return nil
	}
	return emit(sanitize.Region{Extent: disk.Extent{Off: rest, Len: e.End() - rest}, Class: sanitize.Unknown, Owner: "sectors that nothing leads to"})
}

// disjoint sorts pieces and lets the first owner of a byte keep it.
func disjoint(pieces []sanitize.Region) []sanitize.Region {
	slices.SortStableFunc(pieces, func(a, b sanitize.Region) int { return cmp.Compare(a.Off, b.Off) })
	var end int64
	kept := pieces[:0]
	for _, p := range pieces {
		if p.End() <= end {
			continue
		}
		if p.Off < end {
			p.Len, p.Off = p.End()-end, end
		}
		end = p.End()
		kept = append(kept, p)
	}
	return kept
}
