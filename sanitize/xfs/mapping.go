package xfs

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize/internal/mapped"
)

// Layout of a map, XADS section "Data Extents".
const (
	recordLen  = 16 // bytes of an extent
	rootHeader = 4  // bytes ahead of the keys in a root within an inode
)

// mapBlock is a block of the map itself.
type mapBlock struct {
	phys int64
	dead []disk.Extent
}

// fileMap is where the blocks of a fork are.
type fileMap struct {
	runs mapped.Runs
	tree []mapBlock
}

// root parses the root of a tree within an inode.
func (k fork) root() (n node, level int, err error) {
	if len(k.raw) < rootHeader {
		return n, 0, fmt.Errorf("no room for the root of a tree")
	}
	be := binary.BigEndian
	level = int(be.Uint16(k.raw))
	if level < 1 || level >= maxLevels {
		return n, 0, fmt.Errorf("a tree of %d levels", level)
	}
	n, err = blockTree.slots(k.raw, rootHeader, int64(be.Uint16(k.raw[2:])), level)
	return n, level, err
}

// mapping follows the map of a fork. seen, unless nil, is shared among the
// files of one pass.
func (f *filesystem) mapping(ctx context.Context, k fork, seen visited) (fileMap, error) {
	if seen == nil {
		seen = visited{}
	}
	var m fileMap
	add := func(rec []byte) error { return f.addRun(&m, rec) }
	switch {
	case len(k.raw) == 0:
	case k.format == forkExtents:
		if k.extents > uint64(len(k.raw)/recordLen) {
			return m, fmt.Errorf("%d extents in %d bytes", k.extents, len(k.raw))
		}
		for i := range k.extents {
			if err := add(k.raw[i*recordLen : (i+1)*recordLen]); err != nil {
				return m, err
			}
		}
	case k.format == forkTree:
		n, level, err := k.root()
		if err != nil {
			return m, err
		}
		w := treeWalk{ctx: ctx, f: f, tree: blockTree, seen: seen, record: add}
		w.block = func(phys int64, dead []disk.Extent) error {
			m.tree = append(m.tree, mapBlock{phys, dead})
			return nil
		}
		return m, w.node(n, level)
	}
	return m, nil
}

// addRun decodes one extent: a flag, 54 bits of logical block, 52 bits of
// filesystem block, 21 bits of count.
func (f *filesystem) addRun(m *fileMap, rec []byte) error {
	hi, lo := binary.BigEndian.Uint64(rec), binary.BigEndian.Uint64(rec[8:])
	r := mapped.Run{Logical: int64(hi << 1 >> 10), Count: int64(lo & (1<<21 - 1)), Unwritten: hi>>63 != 0}
	if r.Logical > math.MaxInt64/f.block-r.Count {
		return fmt.Errorf("logical block %d", r.Logical)
	}
	var err error
	if r.Phys, err = f.physical(hi&(1<<9-1)<<43 | lo>>21); err != nil {
		return err
	}
	if err := f.extent(r.Phys, r.Count); err != nil {
		return err
	}
	if k := len(m.runs); k > 0 {
		last := &m.runs[k-1]
		if r.Logical < last.Logical+last.Count {
			return fmt.Errorf("logical block %d is mapped twice", r.Logical)
		}
	}
	m.runs = append(m.runs, r)
	return nil
}

// physical returns where a logical block is, if it is mapped.
func (m fileMap) physical(logical int64) (int64, bool) {
	i := m.runs.Search(logical)
	if i == len(m.runs) || m.runs[i].Logical > logical {
		return 0, false
	}
	return m.runs[i].Phys + logical - m.runs[i].Logical, true
}
