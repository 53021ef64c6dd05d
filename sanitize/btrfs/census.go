package btrfs

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"

	"github.com/imgbuild/imgbuild/disk"
)

// extent is an allocated run of logical addresses.
type extent struct {
	disk.Extent
	tree bool
	refs uint64 // how many entries of files lead to it
}

// census is what a traversal of all trees finds.
type census struct {
	f *filesystem
	// nodes holds, for each tree block, what is dead in it.
	nodes   map[int64]disk.Extent
	extents []extent         // ascending
	groups  []disk.Extent    // an allocation group for each chunk; Len is what is used
	shown   []disk.Extent    // what entries of files show, ascending
	refs    map[int64]uint64 // entries of files by extent
	roots   []root
	sums    root             // of the checksum tree
	sizes   map[uint64]int64 // of files, the largest that a subvolume gives a number
	long    []longFile
	rests   []disk.Extent // see settle
}

// count follows every tree.
func (f *filesystem) count(ctx context.Context) (*census, error) {
	c := &census{f: f, nodes: map[int64]disk.Extent{}, refs: map[int64]uint64{}, sizes: map[uint64]int64{}}
	w := treeWalk{ctx: ctx, f: f, seen: visited{}, leaf: c.leaf}
	w.block = func(n *node) error {
		c.nodes[n.logical] = n.dead
		return nil
	}
	if err := w.below(f.chunkTree); err != nil {
		return nil, fmt.Errorf("reading the chunk tree: %w", err)
	}
	if err := w.below(f.tree); err != nil {
		return nil, fmt.Errorf("reading the tree of trees: %w", err)
	}
	for _, r := range c.roots {
		if err := w.below(r); err != nil {
			return nil, fmt.Errorf("reading the tree at %d: %w", r.logical, err)
		}
	}
	c.cutLong()
	slices.SortFunc(c.extents, func(a, b extent) int { return cmp.Compare(a.Off, b.Off) })
	slices.SortFunc(c.shown, byOffset)
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, c.settle(ctx)
}

// leaf takes what it needs from a leaf, whatever tree it is of.
func (c *census) leaf(n *node) error {
	var last inodeSize
	for _, it := range n.items {
		var err error
		switch it.kind {
		case kindInode:
			last, err = c.inode(it)
		case kindRoot:
			err = c.root(it)
		case kindExtent, kindTreeBlock:
			if n.owner == treeExtents {
				err = c.extent(it)
			}
		case kindGroup:
			err = c.group(it)
		case kindExtentData:
			err = c.file(it, last)
		case kindOrphan:
			err = refused("deleted files or subvolumes wait to be freed", "mount the filesystem once and unmount it")
		}
		if err != nil {
			return fmt.Errorf("reading an item of tree block %d: %w", n.logical, err)
		}
	}
	return nil
}

// root notes a tree, BTRFS section "Root items".
func (c *census) root(it item) error {
	r, err := parseRoot(it)
	if err != nil {
		return err
	}
	const offRefs = 216
	if binary.LittleEndian.Uint32(it.data[offRefs:]) == 0 {
		return refused("deleted subvolumes wait to be freed", "mount the filesystem and run `btrfs subvolume sync` on it")
	}
	c.roots = append(c.roots, r)
	if it.object == treeSums {
		c.sums = r
	}
	return nil
}

func parseRoot(it item) (root, error) {
	if len(it.data) < rootItem {
		return root{}, fmt.Errorf("the root of tree %d is cut off", it.object)
	}
	le := binary.LittleEndian
	return root{int64(le.Uint64(it.data[rootItemOffAddr:])), le.Uint64(it.data[inodeItem:]), it.data[rootItem-1]}, nil
}

// extent notes an allocated extent, BTRFS section "Extent items".
func (c *census) extent(it item) error {
	const treeFlag = 2
	if len(it.data) < 24 {
		return fmt.Errorf("extent %d is cut off", it.object)
	}
	e := extent{Extent: disk.Extent{Off: int64(it.object), Len: int64(it.offset)}, refs: binary.LittleEndian.Uint64(it.data)}
	if it.kind == kindTreeBlock {
		e.Len, e.tree = c.f.nodeSize, true
	} else if binary.LittleEndian.Uint64(it.data[16:])&treeFlag != 0 {
		e.tree = true
	}
	if e.Off < 0 || e.Len <= 0 || e.Off%c.f.sector != 0 || e.Len%c.f.sector != 0 {
		return fmt.Errorf("extent %d has %d bytes", e.Off, e.Len)
	}
	if i := c.f.chunkOf(e.Off); i < 0 || e.Len > c.f.chunks[i].logical+c.f.chunks[i].length-e.Off {
		return fmt.Errorf("extent %d of %d bytes is in no chunk", e.Off, e.Len)
	}
	c.extents = append(c.extents, e)
	return nil
}

// group notes how much of a chunk is in use.
func (c *census) group(it item) error {
	if len(it.data) < 24 {
		return fmt.Errorf("block group %d is cut off", it.object)
	}
	c.groups = append(c.groups, disk.Extent{Off: int64(it.object), Len: int64(binary.LittleEndian.Uint64(it.data))})
	return nil
}

// Layout of a file's extent, BTRFS section "File extent items".
const (
	fileExtentLen   = 53
	fileInlineAt    = 21 // of the data of an inline extent
	extentInline    = 0
	extentRegular   = 1
	extentUnwritten = 2
)

// file notes which part of an extent a file shows: nothing behind its end. A
// compressed extent is needed as a whole, and an unwritten one not at all.
func (c *census) file(it item, last inodeSize) error {
	if len(it.data) < fileInlineAt {
		return fmt.Errorf("an extent of file %d is cut off", it.object)
	}
	kind := it.data[20]
	if kind == extentInline {
		return nil
	}
	if len(it.data) < fileExtentLen || kind > extentUnwritten {
		return fmt.Errorf("an extent of file %d has kind %d", it.object, kind)
	}
	le := binary.LittleEndian
	at, length, off, n := int64(le.Uint64(it.data[21:])), int64(le.Uint64(it.data[29:])), int64(le.Uint64(it.data[37:])), int64(le.Uint64(it.data[45:]))
	if at == 0 {
		return nil // a hole
	}
	c.refs[at]++
	switch {
	case kind == extentUnwritten:
		return nil
	case it.data[16] != 0: // compressed
		off, n = 0, length
	}
	if at < 0 || length <= 0 || off < 0 || n <= 0 || n > length-off {
		return fmt.Errorf("file %d shows %d bytes at byte %d of an extent of %d", it.object, n, off, length)
	}
	c.shown = append(c.shown, disk.Extent{Off: at + off, Len: n})
	if it.data[16] == 0 {
		c.cut(it, last)
	}
	return nil
}

// check holds the extent tree to the trees that it accounts for, and to the
// counters of the chunks: only then is what it does not name free.
func (c *census) check() error {
	used := make([]int64, len(c.f.chunks))
	blocks := 0
	for i, e := range c.extents {
		if i > 0 && e.Off < c.extents[i-1].End() {
			return fmt.Errorf("extents overlap at %d", e.Off)
		}
		used[c.f.chunkOf(e.Off)] += e.Len
		if _, ok := c.nodes[e.Off]; ok && e.tree && e.Len == c.f.nodeSize {
			blocks++
		}
	}
	if blocks != len(c.nodes) {
		return fmt.Errorf("%d of %d tree blocks are missing in the extent tree", len(c.nodes)-blocks, len(c.nodes))
	}
	if len(c.groups) != len(c.f.chunks) {
		return fmt.Errorf("%d block groups for %d chunks", len(c.groups), len(c.f.chunks))
	}
	for _, g := range c.groups {
		i := c.f.chunkOf(g.Off)
		if i < 0 || c.f.chunks[i].logical != g.Off || used[i] != g.Len {
			return fmt.Errorf("block group %d uses %d bytes, which its extents do not add up to", g.Off, g.Len)
		}
	}
	return nil
}

// unshown returns all parts of data extents that no file shows, ascending.
func (c *census) unshown() []disk.Extent {
	var dead []disk.Extent
	for _, e := range c.extents {
		if !e.tree {
			dead = append(dead, c.unseen(e)...)
		}
	}
	return dead
}

// unseen returns the parts of data extent e that no file shows. It returns
// nothing unless every entry that leads to the extent was met.
func (c *census) unseen(e extent) []disk.Extent {
	if c.refs[e.Off] != e.refs {
		return nil
	}
	var dead []disk.Extent
	next := e.Off
	i := sort.Search(len(c.shown), func(i int) bool { return c.shown[i].Off >= e.Off })
	for ; i < len(c.shown) && c.shown[i].Off < e.End(); i++ {
		if s := c.shown[i]; s.Off > next {
			dead = append(dead, disk.Extent{Off: next, Len: s.Off - next})
		}
		next = max(next, c.shown[i].End())
	}
	if next < e.End() {
		dead = append(dead, disk.Extent{Off: next, Len: e.End() - next})
	}
	return dead
}
