package xfs

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// maxLevels bounds the height of a tree: no group has room for a higher one.
const maxLevels = 16

// btree describes one kind of tree, XADS sections "Allocation Groups" and
// "B+tree Extent List". Lengths are in bytes.
type btree struct {
	name     string
	magic    [2]uint32 // of version 4 and 5
	rec, key int64
	long     bool // pointers of 8 bytes that count from the start of the filesystem
}

// The trees.
var (
	bnoTree   = &btree{name: "free space by block", magic: [2]uint32{0x41425442, 0x41423342}, rec: 8, key: 8}
	cntTree   = &btree{name: "free space by size", magic: [2]uint32{0x41425443, 0x41423343}, rec: 8, key: 8}
	inoTree   = &btree{name: "inodes", magic: [2]uint32{0x49414254, 0x49414233}, rec: 16, key: 4}
	finoTree  = &btree{name: "free inodes", magic: [2]uint32{0x46494254, 0x46494233}, rec: 16, key: 4}
	rmapTree  = &btree{name: "reverse mapping", magic: [2]uint32{0, 0x524d4233}, rec: 24, key: 40}
	refcTree  = &btree{name: "reference counts", magic: [2]uint32{0, 0x52334643}, rec: 12, key: 4}
	blockTree = &btree{name: "extents", magic: [2]uint32{0x424d4150, 0x424d4133}, rec: 16, key: 8, long: true}
)

func (t *btree) ptr() int64 {
	if t.long {
		return 8
	}
	return 4
}

// header returns the length of a block's header and where its checksum is; 0
// without checksums.
func (t *btree) header(v5 bool) (length, sum int64) {
	switch {
	case t.long && v5:
		return 72, 64
	case t.long:
		return 24, 0
	case v5:
		return 56, 52
	}
	return 16, 0
}

// node is a parsed block of a tree.
type node struct {
	recs [][]byte // of a leaf
	ptrs []uint64 // of an inner node
	dead []disk.Extent
}

// parse reads block b, which is to be at the given level.
func (t *btree) parse(b []byte, v5 bool, level int) (node, error) {
	be, magic := binary.BigEndian, t.magic[0]
	if v5 {
		magic = t.magic[1]
	}
	if got := be.Uint32(b); got != magic || magic == 0 {
		return node{}, fmt.Errorf("magic %#x", got)
	}
	if got := int(be.Uint16(b[4:])); got != level {
		return node{}, fmt.Errorf("level %d where %d is due", got, level)
	}
	head, _ := t.header(v5)
	return t.slots(b, head, int64(be.Uint16(b[6:])), level)
}

// slots reads the count records, or keys and pointers, that begin at byte at
// of b and may fill it.
func (t *btree) slots(b []byte, at, count int64, level int) (node, error) {
	var n node
	room := int64(len(b)) - at
	if level == 0 {
		if room < 0 || count > room/t.rec {
			return n, fmt.Errorf("%d records in %d bytes", count, room)
		}
		for i := range count {
			n.recs = append(n.recs, b[at+i*t.rec:at+(i+1)*t.rec])
		}
		end := at + count*t.rec
		n.dead = []disk.Extent{{Off: end, Len: int64(len(b)) - end}}
		return n, nil
	}
	limit := max(room, 0) / (t.key + t.ptr())
	if count < 1 || count > limit {
		return n, fmt.Errorf("%d pointers of %d", count, limit)
	}
	ptrs := at + limit*t.key
	for i := range count {
		p := b[ptrs+i*t.ptr():]
		if t.long {
			n.ptrs = append(n.ptrs, binary.BigEndian.Uint64(p))
		} else {
			n.ptrs = append(n.ptrs, uint64(binary.BigEndian.Uint32(p)))
		}
	}
	keys, end := at+count*t.key, ptrs+count*t.ptr()
	n.dead = []disk.Extent{{Off: keys, Len: ptrs - keys}, {Off: end, Len: int64(len(b)) - end}}
	return n, nil
}

// visited is the set of blocks met so far: one met twice is a loop, or belongs
// to two trees.
type visited map[int64]struct{}

// treeWalk follows a tree.
type treeWalk struct {
	ctx  context.Context
	f    *filesystem
	tree *btree
	// group is the allocation group that short pointers are relative to.
	group int64
	seen  visited
	// record is called for each record, and block, unless nil, for each
	// block with what is dead in it.
	record func(rec []byte) error
	block  func(phys int64, dead []disk.Extent) error
}

// below visits the block that p points at, and those below it.
func (w *treeWalk) below(p uint64, level int) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if level < 0 || level >= maxLevels {
		return fmt.Errorf("the tree of %s has %d levels", w.tree.name, level+1)
	}
	if !w.tree.long {
		if p >= 1<<w.f.agBlockLog {
			return fmt.Errorf("block %d of the tree of %s lies outside of its group", p, w.tree.name)
		}
		p |= uint64(w.group) << w.f.agBlockLog
	}
	phys, err := w.f.physical(p)
	if err != nil {
		return err
	}
	if _, ok := w.seen[phys]; ok {
		return fmt.Errorf("tree block %d is used twice", phys)
	}
	w.seen[phys] = struct{}{}
	b := make([]byte, w.f.block)
	if err := sanitize.ReadFull(w.f.r, b, phys*w.f.block); err != nil {
		return err
	}
	n, err := w.tree.parse(b, w.f.v5, level)
	if err != nil {
		return fmt.Errorf("reading block %d of the tree of %s: %w", phys, w.tree.name, err)
	}
	if w.block != nil {
		if err := w.block(phys, n.dead); err != nil {
			return err
		}
	}
	return w.node(n, level)
}

// node visits what a parsed node holds.
func (w *treeWalk) node(n node, level int) error {
	for _, rec := range n.recs {
		if err := w.record(rec); err != nil {
			return err
		}
	}
	for _, p := range n.ptrs {
		if err := w.below(p, level-1); err != nil {
			return err
		}
	}
	return nil
}
