package xfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Remnants implements [sanitize.Rememberer]: the names in unused entries of
// directories, in what is left of short directories in their inodes, and in
// inodes that are not in use. A deletion overwrites the first four bytes of an
// entry, which are of an inode's number.
func (f *filesystem) Remnants(ctx context.Context, fn func(sanitize.Remnant) error) error {
	r := remnants{f: f, fn: fn}
	err := f.descend(ctx, func(n *inode, path string) ([]dirent, error) {
		if n.kind() != modeDir {
			return nil, nil
		}
		r.where = "directory " + path
		return r.directory(ctx, n)
	})
	if err != nil {
		return err
	}
	for _, c := range f.chunks {
		if err := r.chunk(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// remnants tells names as it meets them.
type remnants struct {
	f     *filesystem
	fn    func(sanitize.Remnant) error
	where string
}

// directory tells the names that directory n remembers, and returns those that
// live.
func (r *remnants) directory(ctx context.Context, n *inode) ([]dirent, error) {
	m, err := r.f.mapping(ctx, n.data, nil)
	if err != nil {
		return nil, err
	}
	var entries []dirent
	add := func(e dirent) error { entries = append(entries, e); return nil }
	if err := r.f.directory(ctx, n, m, add, r.block); err != nil {
		return nil, err
	}
	// Entries behind a deleted one in a short directory have moved: their old
	// places tell names that live.
	living := make(map[string]bool, len(entries))
	for _, e := range entries {
		living[e.name] = true
	}
	dead, err := n.data.dead(n.size)
	if err != nil {
		return nil, err
	}
	for _, d := range dead {
		at := r.f.inodeOff(n.num) + n.data.off + d.Off
		if err := r.shortNames(n.data.raw[d.Off:d.End()], at, living); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// block tells the names in the unused entries of a block.
func (r *remnants) block(d dirBlock) error {
	for _, u := range d.unused {
		for at := u.Off; at < u.End(); {
			name, n := r.f.unusedEntry(d.data, at, u.End())
			if n == 0 {
				at += dirAlign
				continue
			}
			if err := r.fn(sanitize.Remnant{Name: name, Off: d.place(at + direntHeader), Where: r.where}); err != nil {
				return err
			}
			at += n
		}
	}
	return nil
}

// place returns where byte off of the block is on the volume.
func (d dirBlock) place(off int64) int64 {
	for _, e := range d.at {
		if off < e.Len {
			return e.Off + off
		}
		off -= e.Len
	}
	return 0
}

// unusedEntry reads an entry that stood at byte at of b, in unused space up to
// end. n is the space that it took; 0 when there is none. An entry ends with
// its own offset, an unused one with that of the first of those that were
// merged.
func (f *filesystem) unusedEntry(b []byte, at, end int64) (name string, n int64) {
	be := binary.BigEndian
	if end-at < direntHeader+1 {
		return "", 0
	}
	nameLen := int64(b[at+8])
	n = (direntHeader + nameLen + f.typeLen() + direntTag + dirAlign - 1) &^ (dirAlign - 1)
	if nameLen == 0 || n > end-at {
		return "", 0
	}
	tag := int64(be.Uint16(b[at+n-direntTag:]))
	if tag > at || tag%dirAlign != 0 || tag < f.dirHeader() {
		return "", 0
	}
	number := be.Uint64(b[at:])
	if be.Uint16(b[at:]) == dirUnusedTag {
		number = uint64(be.Uint32(b[at+4:]))
	}
	raw := b[at+direntHeader : at+direntHeader+nameLen]
	if !f.hasInode(number) || !isName(raw) || f.fileType && b[at+direntHeader+nameLen] >= fileTypes {
		return "", 0
	}
	return string(raw), n
}

// fileTypes is one more than the last type of a file in an entry, XADS section
// "Directory Entry Types".
const fileTypes = 9

// hasInode reports whether the filesystem is large enough for an inode.
func (f *filesystem) hasInode(num uint64) bool {
	return num > 0 && num>>(f.agBlockLog+f.inodesPerBlockLog) < uint64(f.agCount)
}

// isName reports whether raw could be a name that people give.
func isName(raw []byte) bool {
	return string(raw) != "." && string(raw) != ".." &&
		!slices.ContainsFunc(raw, func(c byte) bool { return c < 0x20 || c == 0x7f || c == '/' })
}

// chunk tells the names in the records of a chunk that are not in use: those of
// short directories that were removed.
func (r *remnants) chunk(ctx context.Context, c chunk) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	off := r.f.inodeOff(c.first)
	b := make([]byte, int64(bits.Len64(c.there))*r.f.inodeSize)
	if err := sanitize.ReadFull(r.f.r, b, off); err != nil {
		return fmt.Errorf("reading inode %d: %w", c.first, err)
	}
	for k := range uint64(chunkInodes) {
		if c.there>>k&1 == 0 || c.used>>k&1 != 0 {
			continue
		}
		record := disk.Extent{Off: int64(k) * r.f.inodeSize, Len: r.f.inodeSize}
		core := int64(inodeCoreV2)
		if r.f.v5 {
			core = inodeCore
		}
		r.where = fmt.Sprintf("inode %d", c.first+k)
		if err := r.shortNames(b[record.Off+core:record.End()], off+record.Off+core, nil); err != nil {
			return err
		}
	}
	return nil
}

// shortNames tells the names of entries of a short directory in b, which lies
// at a byte of the volume, but for those that live.
func (r *remnants) shortNames(b []byte, at int64, living map[string]bool) error {
	if len(bytes.TrimLeft(b, "\x00")) == 0 {
		return nil
	}
	for i := 0; i < len(b); {
		name, n := r.f.shortEntry(b[i:])
		if n == 0 {
			i++
			continue
		}
		if !living[name] {
			if err := r.fn(sanitize.Remnant{Name: name, Off: at + int64(i) + shortHeader, Where: r.where}); err != nil {
				return err
			}
		}
		i += n
	}
	return nil
}

// shortHeader is the length of the name, and where the entry would stand in a
// block.
const shortHeader = 3

// shortEntry reads an entry of a short directory that b may begin with, with
// an inode number of four bytes. n is its length; 0 when there is none.
func (f *filesystem) shortEntry(b []byte) (name string, n int) {
	be := binary.BigEndian
	const number = 4
	if len(b) < shortHeader {
		return "", 0
	}
	end := shortHeader + int(b[0])
	n = end + int(f.typeLen()) + number
	place := int64(be.Uint16(b[1:]))
	if b[0] == 0 || n > len(b) || place%dirAlign != 0 || place < f.dirHeader() || place >= f.dirBlock {
		return "", 0
	}
	raw := b[shortHeader:end]
	if !isName(raw) || f.fileType && (b[end] == 0 || b[end] >= fileTypes) || !f.hasInode(uint64(be.Uint32(b[n-number:]))) {
		return "", 0
	}
	return string(raw), n
}
