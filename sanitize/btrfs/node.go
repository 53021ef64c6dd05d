package btrfs

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Kinds of items, BTRFS section "Item types".
const (
	kindInode       = 1
	kindXattr       = 24
	kindOrphan      = 48
	kindDirIndex    = 96
	kindExtentData  = 108
	kindSum         = 128
	kindRoot        = 132
	kindRootRef     = 156
	kindExtent      = 168
	kindTreeBlock   = 169
	kindGroup       = 192
	kindChunk       = 228
	treeExtents     = 2
	treeFiles       = 5
	treeSums        = 7
	firstFile       = 256 // the root of a subvolume
	maxLevel        = 7
	nodeHeader      = 101
	nodeOffBytenr   = 48
	nodeOffGen      = 80
	nodeOffOwner    = 88
	nodeOffCount    = 96
	nodeOffLevel    = 100
	itemHead        = 25 // key, offset and size of the data
	pointer         = 33 // key, address and generation
	dirItemHeader   = 30
	inodeItem       = 160
	rootItem        = 239 // without what later versions added
	rootItemOffAddr = 176
)

// key is the place of an item in a tree.
type key struct {
	object uint64
	kind   uint8
	offset uint64
}

func parseKey(b []byte) key {
	le := binary.LittleEndian
	return key{le.Uint64(b), b[8], le.Uint64(b[9:])}
}

func (k key) compare(o key) int {
	if c := cmp.Compare(k.object, o.object); c != 0 {
		return c
	}
	if c := cmp.Compare(k.kind, o.kind); c != 0 {
		return c
	}
	return cmp.Compare(k.offset, o.offset)
}

// item is an entry of a leaf.
type item struct {
	key
	at   int64 // of the data in the block
	data []byte
}

// child is an entry of an inner node.
type child struct {
	key
	root
}

// node is a block of a tree.
type node struct {
	logical  int64
	raw      []byte
	owner    uint64
	items    []item
	children []child
	dead     disk.Extent // the one gap in it
}

// readNode reads the block that p points at. Its checksum is not verified:
// it covers the dead bytes too.
func (f *filesystem) readNode(p root) (*node, error) {
	at, err := f.places(p.logical, f.nodeSize)
	if err != nil {
		return nil, err
	}
	b := make([]byte, f.nodeSize)
	if err := sanitize.ReadFull(f.r, b, at[0]); err != nil {
		return nil, err
	}
	n, err := parseNode(b, p)
	if err != nil {
		return nil, fmt.Errorf("reading tree block %d: %w", p.logical, err)
	}
	return n, nil
}

func parseNode(b []byte, p root) (*node, error) {
	le := binary.LittleEndian
	if got := int64(le.Uint64(b[nodeOffBytenr:])); got != p.logical {
		return nil, fmt.Errorf("it says that it is block %d", got)
	}
	if gen, level := le.Uint64(b[nodeOffGen:]), b[nodeOffLevel]; gen != p.generation || level != p.level || level > maxLevel {
		return nil, fmt.Errorf("generation %d and level %d where %d and %d are due", gen, level, p.generation, p.level)
	}
	n := &node{logical: p.logical, raw: b, owner: le.Uint64(b[nodeOffOwner:])}
	count := int64(le.Uint32(b[nodeOffCount:]))
	if p.level > 0 {
		return n, n.parsePointers(count, p.level-1)
	}
	return n, n.parseItems(count)
}

// rootOf returns the pointer that leads to block b.
func rootOf(b []byte) root {
	le := binary.LittleEndian
	return root{int64(le.Uint64(b[nodeOffBytenr:])), le.Uint64(b[nodeOffGen:]), b[nodeOffLevel]}
}

// parsePointers reads the children of an inner node.
func (n *node) parsePointers(count int64, level uint8) error {
	le, size := binary.LittleEndian, int64(len(n.raw))
	if count < 1 || count > (size-nodeHeader)/pointer {
		return fmt.Errorf("%d pointers", count)
	}
	for i := range count {
		e := n.raw[nodeHeader+i*pointer:]
		n.children = append(n.children, child{parseKey(e), root{int64(le.Uint64(e[17:])), le.Uint64(e[25:]), level}})
	}
	end := nodeHeader + count*pointer
	n.dead = disk.Extent{Off: end, Len: size - end}
	return nil
}

// parseItems reads a leaf: heads from the front, data from the back, without
// gaps between them (kernel, check_leaf).
func (n *node) parseItems(count int64) error {
	le, size := binary.LittleEndian, int64(len(n.raw))
	if count > (size-nodeHeader)/itemHead {
		return fmt.Errorf("%d items", count)
	}
	heads, end := nodeHeader+count*itemHead, size
	for i := range count {
		e := n.raw[nodeHeader+i*itemHead:]
		from, length := nodeHeader+int64(le.Uint32(e[17:])), int64(le.Uint32(e[21:]))
		if from < heads || from+length != end {
			return fmt.Errorf("item %d has %d bytes at byte %d", i, length, from)
		}
		n.items = append(n.items, item{parseKey(e), from, n.raw[from : from+length]})
		end = from
	}
	n.dead = disk.Extent{Off: heads, Len: end - heads}
	return nil
}

// visited is the set of tree blocks met so far. Snapshots share them.
type visited map[int64]struct{}

// treeWalk visits blocks of trees, each once.
type treeWalk struct {
	ctx  context.Context
	f    *filesystem
	seen visited
	// leaf is called for each leaf, block, unless nil, for each block.
	leaf  func(*node) error
	block func(*node) error
}

// below visits the block that p points at, and those below it.
func (w *treeWalk) below(p root) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if _, ok := w.seen[p.logical]; ok {
		return nil
	}
	w.seen[p.logical] = struct{}{}
	n, err := w.f.readNode(p)
	if err != nil {
		return err
	}
	if w.block != nil {
		if err := w.block(n); err != nil {
			return err
		}
	}
	if p.level == 0 {
		return w.leaf(n)
	}
	for _, c := range n.children {
		if err := w.below(c.root); err != nil {
			return err
		}
	}
	return nil
}
