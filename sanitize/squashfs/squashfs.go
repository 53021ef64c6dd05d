// Package squashfs accounts for squashfs 4 filesystems.
//
// The layout is that of the kernel's fs/squashfs/squashfs_fs.h, cited below as
// FORMAT: a superblock, the data of all files packed without gaps, and tables
// of inodes, directories, fragments, exports, owners and attributes. It is
// written once and holds nothing dead but the padding behind its last byte. The
// ledger does not tell files apart; a walk does.
//
// Images that are compressed by lzo or the old lzma are accounted for, but their
// files cannot be read.
package squashfs

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// FORMAT struct squashfs_super_block.
const (
	superMagic   = 0x73717368
	superLen     = 96
	offMajor     = 28
	offBytesUsed = 40
	noTable      = ^uint64(0)
	padding      = 4096 // mksquashfs pads the image to a multiple of this

	minBlock, maxBlock = 4 << 10, 1 << 20 // of data, in bytes
)

// tableFields are the offsets of the fields that say where a table is. For
// those of fragments, exports, owners and attributes that is their index,
// which follows the blocks of the table.
var tableFields = []struct {
	off   int
	owner string
}{
	{64, "inode table"}, {72, "directory table"}, {80, fragmentTable},
	{88, "export table"}, {48, ownerTable}, {56, attributeTable},
}

// Tables with an index.
const (
	fragmentTable  = "fragment table"
	ownerTable     = "owner table"
	attributeTable = "attribute table"
)

// Driver recognises squashfs 4.
type Driver struct{}

// Name returns "squashfs".
func (Driver) Name() string { return "squashfs" }

// Open reads the superblock.
func (Driver) Open(_ context.Context, r disk.Reader) (sanitize.Filesystem, error) {
	if r.Size() < superLen {
		return nil, sanitize.ErrNotRecognized
	}
	b := make([]byte, superLen)
	if err := sanitize.ReadFull(r, b, 0); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if le.Uint32(b) != superMagic || le.Uint16(b[offMajor:]) != 4 {
		return nil, sanitize.ErrNotRecognized
	}
	f := &filesystem{r: r, root: reference(le.Uint64(b[32:])), inodes: int64(le.Uint64(b[64:])), dirs: int64(le.Uint64(b[72:])), ids: int64(le.Uint32(b[24:]) & 0xffff)}
	used := le.Uint64(b[offBytesUsed:])
	if used < superLen || used > uint64(r.Size()) {
		return nil, fmt.Errorf("%d bytes in use do not fit into %d", used, r.Size())
	}
	f.used = int64(used)
	f.block, f.fragmentCount = int64(le.Uint32(b[12:])), int64(le.Uint32(b[16:]))
	for _, t := range tableFields {
		at := le.Uint64(b[t.off:])
		if at == noTable {
			continue
		}
		if at < superLen || at > used {
			return nil, fmt.Errorf("the %s lies at byte %d of %d", t.owner, at, used)
		}
		f.tables = append(f.tables, table{int64(at), t.owner})
	}
	if len(f.tables) == 0 || f.tables[0].owner != tableFields[0].owner {
		return nil, fmt.Errorf("there is no %s", tableFields[0].owner)
	}
	f.data = f.tables[0].off
	slices.SortStableFunc(f.tables, func(a, b table) int { return cmp.Compare(a.off, b.off) })
	if f.tables[0].off != f.data {
		return nil, fmt.Errorf("the %s lies ahead of the inode table", f.tables[0].owner)
	}
	var err error
	if f.unpack, err = unpacker(le.Uint16(b[20:])); err != nil || f.block < minBlock || f.block > maxBlock {
		return f, nil // its files cannot be read
	}
	return newReadable(f), nil
}

type table struct {
	off   int64
	owner string
}

type filesystem struct {
	r      disk.Reader
	used   int64
	data   int64 // end of the files' data
	tables []table

	// What a walk needs: the size of a block of data, where tables begin, and how
	// many fragments and owners there are.
	block, inodes, dirs int64
	fragmentCount, ids  int64
	root                reference
	unpack              func(packed []byte, limit int) ([]byte, error)
}

// start returns where a table, or its index, begins; 0 when there is none.
func (f *filesystem) start(owner string) int64 {
	for _, t := range f.tables {
		if t.owner == owner {
			return t.off
		}
	}
	return 0
}

// Type returns "squashfs".
func (f *filesystem) Type() string { return "squashfs" }

// Regions accounts for every byte; see the package comment.
func (f *filesystem) Regions(_ context.Context, emit func(sanitize.Region) error) error {
	var next int64
	piece := func(end int64, c sanitize.Class, owner string) error {
		off := next
		if end <= off {
			return nil
		}
		next = end
		return emit(sanitize.Region{Extent: disk.Extent{Off: off, Len: end - off}, Class: c, Owner: owner})
	}
	if err := piece(superLen, sanitize.Metadata, "superblock"); err != nil {
		return err
	}
	if err := piece(f.data, sanitize.Live, "data of all files"); err != nil {
		return err
	}
	for i, t := range f.tables {
		end := f.used
		if i+1 < len(f.tables) {
			end = f.tables[i+1].off
		}
		if err := piece(end, sanitize.Metadata, t.owner); err != nil {
			return err
		}
	}
	padded := min((f.used+padding-1)/padding*padding, f.r.Size())
	if err := piece(padded, sanitize.Slack, "padding"); err != nil {
		return err
	}
	return sanitize.Tail(f.r, padded, emit)
}
