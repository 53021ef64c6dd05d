package ext

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// indexNodes returns the logical blocks of n that hold index entries instead
// of names, with where in the block the entries begin.
func (f *filesystem) indexNodes(ctx context.Context, n *inode, m fileMap) (map[int64]int64, error) {
	if !n.has(flagIndex) || len(m.runs) == 0 {
		return nil, nil
	}
	x := indexReader{f, m, map[int64]int64{}}
	b, err := x.read(0)
	if err != nil {
		return nil, err
	}
	length, levels := b[indexInfoOff+5], int(b[indexInfoOff+6])
	if length != indexRootOff-indexInfoOff || levels > indexLevels {
		return nil, fmt.Errorf("the root has %d levels", levels)
	}
	return x.nodes, x.visit(ctx, 0, indexRootOff, levels)
}

type indexReader struct {
	f     *filesystem
	m     fileMap
	nodes map[int64]int64
}

func (x indexReader) read(logical int64) ([]byte, error) {
	phys, ok := x.m.physical(logical)
	if !ok {
		return nil, fmt.Errorf("index block %d is not mapped", logical)
	}
	b := make([]byte, x.f.block)
	return b, sanitize.ReadFull(x.f.r, b, phys*x.f.block)
}

// visit notes an index block and those up to below levels under it.
func (x indexReader) visit(ctx context.Context, logical, at int64, below int) error {
	if _, ok := x.nodes[logical]; ok {
		return fmt.Errorf("index block %d is used twice", logical)
	}
	x.nodes[logical] = at
	if below == 0 || ctx.Err() != nil {
		return ctx.Err()
	}
	b, err := x.read(logical)
	if err != nil {
		return err
	}
	_, count, err := x.f.indexCount(b, at)
	if err != nil {
		return err
	}
	for i := range count {
		child := binary.LittleEndian.Uint32(b[at+i*indexEntry+4:]) & 0x0fffffff
		if err := x.visit(ctx, int64(child), indexNodeOff, below-1); err != nil {
			return err
		}
	}
	return nil
}

// indexCount returns how many index entries fit behind at, and how many are
// in use. The first entry's hash holds both numbers.
func (f *filesystem) indexCount(b []byte, at int64) (limit, count int64, err error) {
	limit, count = int64(binary.LittleEndian.Uint16(b[at:])), int64(binary.LittleEndian.Uint16(b[at+2:]))
	room := f.block - at
	if f.hasChecksums() {
		room -= indexTail
	}
	if count < 1 || count > limit || limit != room/indexEntry {
		return 0, 0, fmt.Errorf("%d index entries of %d", count, limit)
	}
	return limit, count, nil
}

// indexBlock parses a block of index entries. Those beyond the count are dead:
// a split leaves them behind. Checksums do not cover them.
func (f *filesystem) indexBlock(d *dirBlock, at int64) error {
	limit, count, err := f.indexCount(d.data, at)
	if err != nil {
		return err
	}
	d.dead = []disk.Extent{{Off: at + count*indexEntry, Len: (limit - count) * indexEntry}}
	return nil
}

// physical returns where a logical block is, if it is mapped and written.
func (m fileMap) physical(logical int64) (int64, bool) {
	i := m.runs.Search(logical)
	if i == len(m.runs) || m.runs[i].Logical > logical || m.runs[i].Unwritten {
		return 0, false
	}
	return m.runs[i].Phys + logical - m.runs[i].Logical, true
}
