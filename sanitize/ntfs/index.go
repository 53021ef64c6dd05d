package ntfs

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize/internal/clusters"
)

// Layout of indexes, LAYOUT INDEX_ROOT, INDEX_BLOCK, INDEX_HEADER, INDEX_ENTRY
// and FILE_NAME_ATTR.
const (
	offIndexedType  = 0
	offBlockSize    = 8
	rootHeader      = 0x10 // of INDEX_ROOT; the INDEX_HEADER follows
	blockHeader     = 0x18 // of INDEX_BLOCK; the INDEX_HEADER follows
	indexHeader     = 0x10
	offIndexLen     = 4
	entryHeader     = 0x10
	offEntryLen     = 8
	offKeyLen       = 0x0a
	offEntryFlags   = 0x0c
	entryHasNode    = 1
	entryIsLast     = 2
	nodeLen         = 8 // the number of the node below, at the end of an entry
	offKeyNameLen   = 0x40
	offKeyNamespace = 0x41
	keyNameOff      = 0x42
	namespaceDOS    = 2 // the short name of a file that has a long one too

	magicIndex = "INDX"
	nameIndex  = "$I30" // the index of a directory
	maxBlock   = 64 << 10
)

// entry is an entry of a directory.
type entry struct {
	ref   reference
	name  string
	short bool // a second name, for DOS
}

// node is the part of an index that one header describes.
type node struct {
	entries []entry
	dead    []disk.Extent // relative to the start of the structure
}

// root is the root of an index.
type root struct {
	node
	names bool  // it is that of a directory
	block int64 // bytes in a block of the index
}

func parseRoot(b []byte) (root, error) {
	if len(b) < rootHeader+indexHeader {
		return root{}, fmt.Errorf("an index root of %d bytes", len(b))
	}
	le := binary.LittleEndian
	r := root{names: le.Uint32(b[offIndexedType:]) == attrFileName, block: int64(le.Uint32(b[offBlockSize:]))}
	if !powerOfTwo(r.block, stride, maxBlock) {
		return r, fmt.Errorf("an index with blocks of %d bytes", r.block)
	}
	n, err := parseNode(b, rootHeader, r.names)
	r.node = n
	return r, err
}

// parseNode parses the entries behind the INDEX_HEADER at byte at of b.
func parseNode(b []byte, at int64, names bool) (node, error) {
	le := binary.LittleEndian
	first, end := at+int64(le.Uint32(b[at:])), at+int64(le.Uint32(b[at+offIndexLen:]))
	if first < at+indexHeader || end > int64(len(b)) || first > end {
		return node{}, fmt.Errorf("index entries from byte %d to %d of %d", first, end, len(b))
	}
	var n node
	for off := first; ; {
		if off+entryHeader > end {
			return n, fmt.Errorf("the index entries have no end")
		}
		e := b[off:end]
		length, key, flags := int64(le.Uint16(e[offEntryLen:])), int64(le.Uint16(e[offKeyLen:])), le.Uint16(e[offEntryFlags:])
		if length < entryHeader || length%8 != 0 || length > int64(len(e)) {
			return n, fmt.Errorf("an index entry of %d bytes at byte %d", length, off)
		}
		if flags&entryIsLast != 0 {
			break
		}
		if names {
			used := length
			if flags&entryHasNode != 0 {
				used -= nodeLen
			}
			if entryHeader+key > used {
				return n, fmt.Errorf("an index entry at byte %d has a key of %d bytes", off, key)
			}
			d, err := parseEntry(e[:entryHeader+key])
			if err != nil {
				return n, fmt.Errorf("an index entry at byte %d: %w", off, err)
			}
			n.entries = append(n.entries, d)
			n.dead = append(n.dead, gap(b, off+entryHeader+key, off+used)...)
		}
		off += length
	}
	if rest := int64(len(b)) - end; rest > 0 {
		n.dead = append(n.dead, disk.Extent{Off: end, Len: rest})
	}
	return n, nil
}

// parseEntry parses an entry of a directory, cut behind its key.
func parseEntry(e []byte) (entry, error) {
	key := e[entryHeader:]
	if len(key) < keyNameOff || len(key) < keyNameOff+2*int(key[offKeyNameLen]) {
		return entry{}, fmt.Errorf("a name in %d bytes", len(key))
	}
	return entry{
		ref:   reference(binary.LittleEndian.Uint64(e)),
		name:  utf16Name(key[keyNameOff:][:2*int(key[offKeyNameLen])]),
		short: key[offKeyNamespace] == namespaceDOS,
	}, nil
}

// parseBlock parses an index block that is in use. It undoes the fixups of b.
func parseBlock(b []byte, names bool) (node, error) {
	if string(b[:len(magicIndex)]) != magicIndex {
		return node{}, fmt.Errorf("no index block")
	}
	u, err := unprotect(b)
	if err != nil {
		return node{}, err
	}
	n, err := parseNode(b, blockHeader, names)
	if err != nil {
		return n, err
	}
	first := blockHeader + int64(binary.LittleEndian.Uint32(b[blockHeader:]))
	n.dead = u.protected(b, append(gap(b, int64(u.end()), first), n.dead...))
	return n, nil
}

// index reads the index of n called name. It calls entries with those of the
// root and of each block in use, and dead, unless nil, with what is dead in
// the blocks, ascending, in bytes of the index allocation. It returns how many
// bytes the blocks have together.
func (f *filesystem) index(ctx context.Context, n *file, name string, entries func([]entry), dead func(disk.Extent)) (int64, error) {
	s := n.stream(attrIndexRoot, name)
	if s == nil {
		return 0, fmt.Errorf("MFT record %d has no index %q", n.num, name)
	}
	value, err := s.whole(maxRecord)
	if err != nil {
		return 0, err
	}
	r, err := parseRoot(value)
	if err != nil {
		return 0, fmt.Errorf("index %q of MFT record %d: %w", name, n.num, err)
	}
	entries(r.entries)
	blocks := n.stream(attrIndexAlloc, name)
	if blocks == nil {
		return 0, nil
	}
	if !f.isPlain(blocks) {
		return 0, fmt.Errorf("index %q of MFT record %d is not mapped", name, n.num)
	}
	used := n.stream(attrBitmap, name).bitmap()
	off := int64(0)
	for ; off+r.block <= blocks.limit(); off += r.block {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		d, err := blocks.indexBlock(used, off, r)
		if err != nil {
			return 0, fmt.Errorf("block at byte %d of index %q of MFT record %d: %w", off, name, n.num, err)
		}
		entries(d.entries)
		for _, e := range d.dead {
			if dead != nil {
				dead(disk.Extent{Off: off + e.Off, Len: e.Len})
			}
		}
	}
	return off, nil
}

// indexBlock reads the block at byte off of an index allocation. All of one
// that is not used is dead.
func (s *stream) indexBlock(used *clusters.Bitmap, off int64, r root) (node, error) {
	in, err := used.Get(off / r.block)
	if err != nil {
		return node{}, err
	}
	if !in {
		return node{dead: []disk.Extent{{Len: r.block}}}, nil
	}
	b := make([]byte, r.block)
	if err := s.read(b, off); err != nil {
		return node{}, err
	}
	return parseBlock(b, r.names)
}
