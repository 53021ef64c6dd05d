package ext

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/imgbuild/imgbuild/sanitize"
)

// Remnants implements [sanitize.Rememberer]: names in what is dead of
// directories, and in copies of directory blocks that the journal keeps. A
// name in the journal that some file still has is left out.
func (f *filesystem) Remnants(ctx context.Context, fn func(sanitize.Remnant) error) error {
	var live nameSet
	buf := make([]byte, f.block)
	err := f.descend(ctx, func(n *inode, path string) ([]dirent, error) {
		if n.kind() != modeDir || n.has(flagInline) || n.has(flagEncrypt) {
			return nil, nil
		}
		m, err := f.mapping(ctx, n, nil)
		if err != nil {
			return nil, err
		}
		var entries []dirent
		add := func(e dirent) {
			entries = append(entries, e)
			live.add(e.name)
		}
		err = f.directory(ctx, n, m, buf, add, func(d dirBlock) error {
			return f.deadNames(d, "directory "+path, fn)
		})
		return entries, err
	})
	if err != nil {
		return err
	}
	live.sort()
	return f.journalNames(ctx, live, fn)
}

// nameSet knows names by their hashes: a name that is taken for another costs
// one finding of many.
type nameSet []uint64

func hashName(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64()
}

func (s *nameSet) add(name string) { *s = append(*s, hashName(name)) }

func (s *nameSet) sort() {
	slices.Sort(*s)
	*s = slices.Compact(*s)
}

func (s nameSet) has(name string) bool {
	_, ok := slices.BinarySearch(s, hashName(name))
	return ok
}

// deadNames tells the names in the dead parts of a directory block.
func (f *filesystem) deadNames(d dirBlock, where string, fn func(sanitize.Remnant) error) error {
	if !d.linear {
		return nil
	}
	for _, x := range d.dead {
		from := x.Off &^ 3
		if x.Off%4 == direntKept%4 { // an unused entry keeps its first six bytes
			from = x.Off - direntKept
		}
		for at := from; at < x.End(); {
			name, n := f.deadEntry(d.data[at:x.End()])
			if n == 0 {
				at += 4
				continue
			}
			r := sanitize.Remnant{Name: name, Off: d.phys*f.block + at + direntHeader, Where: where}
			if err := fn(r); err != nil {
				return err
			}
			at += n
		}
	}
	return nil
}

// deadEntry reads an entry that b may begin with. n is the space that it
// needed; 0 when there is none.
func (f *filesystem) deadEntry(b []byte) (name string, n int64) {
	if len(b) < direntHeader+1 {
		return "", 0
	}
	le := binary.LittleEndian
	nameLen, length := int64(b[6]), f.recordLen(le.Uint16(b[4:]))
	n = (direntHeader + nameLen + 3) &^ 3
	const types = 8
	if nameLen == 0 || direntHeader+nameLen > int64(len(b)) || length < n || length%4 != 0 || length > f.block ||
		int64(le.Uint32(b)) > f.inodes || b[7] >= types {
		return "", 0
	}
	raw := b[direntHeader : direntHeader+nameLen]
	if bytes.ContainsAny(raw, "/\x00") || slices.ContainsFunc(raw, func(c byte) bool { return c < 0x20 || c == 0x7f }) {
		return "", 0
	}
	return string(raw), n
}

// journalNames looks for directory blocks in the journal: a block is one when
// its entries lead to its end.
func (f *filesystem) journalNames(ctx context.Context, live nameSet, fn func(sanitize.Remnant) error) error {
	if f.compat&compatJournal == 0 || f.journalInum == 0 {
		return nil
	}
	n, err := f.inode(f.journalInum)
	if err != nil {
		return fmt.Errorf("reading the journal's inode: %w", err)
	}
	m, err := f.mapping(ctx, n, nil)
	if err != nil {
		return fmt.Errorf("mapping the journal: %w", err)
	}
	b := make([]byte, f.block)
	for _, r := range m.runs {
		for i := range r.Count {
			if err := ctx.Err(); err != nil {
				return err
			}
			at := (r.Phys + i) * f.block
			if err := sanitize.ReadFull(f.r, b, at); err != nil {
				return err
			}
			d, ok := f.oldBlock(b, r.Phys+i)
			if !ok {
				continue
			}
			if err := f.oldNames(d, live, fn); err != nil {
				return err
			}
		}
	}
	return nil
}

// oldBlock reports whether b is a block of a directory, and what is between
// its entries.
func (f *filesystem) oldBlock(b []byte, phys int64) (dirBlock, bool) {
	d := dirBlock{phys: phys, data: b, linear: true}
	end := int64(len(b))
	if t := b[end-dirTailLen:]; f.hasChecksums() && t[4] == dirTailLen && t[7] == dirTailType {
		end -= dirTailLen
	}
	dead, err := f.entries(&inode{}, b[:end], func(dirent) {})
	d.dead = dead
	return d, err == nil && binary.LittleEndian.Uint16(b[4:]) != 0
}

func (f *filesystem) oldNames(d dirBlock, live nameSet, fn func(sanitize.Remnant) error) error {
	const where = "journal"
	for off := int64(0); off+direntHeader <= int64(len(d.data)); {
		length := f.recordLen(binary.LittleEndian.Uint16(d.data[off+4:]))
		if length < direntHeader || length > int64(len(d.data))-off {
			break
		}
		name, n := f.deadEntry(d.data[off:])
		if n > 0 && name != "." && name != ".." && !live.has(name) {
			if err := fn(sanitize.Remnant{Name: name, Off: d.phys*f.block + off + direntHeader, Where: where}); err != nil {
				return err
			}
		}
		off += length
	}
	return f.deadNames(d, where, func(r sanitize.Remnant) error {
		if live.has(r.Name) {
			return nil
		}
		return fn(r)
	})
}
