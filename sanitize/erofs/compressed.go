package erofs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
)

// The header of a compressed file, FORMAT struct z_erofs_map_header.
const (
	zHeader         = 8
	zFullPadding    = 8 // behind the header in layoutFull
	zFullIndex      = 8
	adviseCompact2B = 0x1
	adviseBig1      = 0x2
	adviseBig2      = 0x4
	adviseInline    = 0x8
	adviseRotated   = 0x10
	adviseFragment  = 0x20
	zWholeFragment  = 0x80 // in the cluster bits
	algorithmLZ4    = 0
)

// Types of a logical cluster's index, FORMAT Z_EROFS_LCLUSTER_TYPE_*.
const (
	clusterPlain   = 0
	clusterHead1   = 1
	clusterNonHead = 2
	clusterHead2   = 3
)

// blockCount marks the distance field of an index as a count of blocks.
const blockCount = 1 << 11

// zIndex is the decoded index of one logical cluster.
type zIndex struct {
	kind   int
	offset int64  // in the cluster, where a new piece begins
	block  uint32 // where that is stored
	blocks int64  // how many blocks the piece before takes, 0 when not said
}

// zMap is a compressed file while it is mapped.
type zMap struct {
	f       *filesystem
	n       *inode
	header  []byte
	advise  uint16
	bits    uint  // log2 of the size of a logical cluster
	cluster int64 // that size
	end     int64 // of the indices, on the disk
}

func (f *filesystem) compressed(ctx context.Context, n *inode) (fileMap, error) {
	at := roundUp(n.body(), 8)
	if n.size == 0 {
		return fileMap{}, nil
	}
	h, err := f.read(at, zHeader)
	if err != nil {
		return fileMap{}, fmt.Errorf("reading the map header: %w", err)
	}
	le := binary.LittleEndian
	if h[7]&zWholeFragment != 0 {
		off := int64(le.Uint64(h) &^ (1 << 63))
		p := piece{length: n.size, phys: off, how: fragment}
		return fileMap{[]piece{p}, disk.Extent{Off: at, Len: zHeader}}, nil
	}
	z := zMap{f: f, n: n, header: h, advise: le.Uint16(h[4:])}
	for z.cluster = f.block << (h[7] & 7); 1<<z.bits < z.cluster; {
		z.bits++
	}
	count := (n.size-1)>>z.bits + 1
	if count > f.size {
		return fileMap{}, fmt.Errorf("%d clusters in %d bytes", count, f.size)
	}
	decode := z.compact
	if n.layout == layoutFull {
		decode = z.full
	}
	m := fileMap{}
	if err := decode(ctx, at+zHeader, count, func(lcn int64, x zIndex) error { return z.add(&m, lcn, x) }); err != nil {
		return m, err
	}
	m.index = disk.Extent{Off: at, Len: z.end - at}
	return m, z.finish(&m)
}

// add continues the map with the index of cluster lcn.
func (z *zMap) add(m *fileMap, lcn int64, x zIndex) error {
	last := len(m.pieces) - 1
	if x.kind == clusterNonHead {
		if last < 0 {
			return errors.New("the first cluster continues another")
		}
		if p := &m.pieces[last]; x.blocks > 0 && p.logical>>z.bits == lcn-1 {
			p.stored = x.blocks * z.f.block
		}
		return nil
	}
	at := lcn<<z.bits + x.offset
	switch {
	case x.offset >= z.cluster:
		return fmt.Errorf("cluster %d begins at its byte %d", lcn, x.offset)
	case last < 0 && at != 0:
		return fmt.Errorf("the first piece begins at byte %d", at)
	case last >= 0 && at <= m.pieces[last].logical:
		return fmt.Errorf("the piece at byte %d does not ascend", at)
	case at >= z.n.size:
		return nil // the mark of the end
	}
	p := piece{logical: at, phys: int64(x.block) * z.f.block, stored: z.cluster, how: compressed}
	switch x.kind {
	case clusterPlain:
		if p.how = stored; z.advise&adviseRotated != 0 {
			p.how = rotated
		}
	case clusterHead1:
		p.algorithm = int(z.header[6] & 15)
	case clusterHead2:
		p.algorithm = int(z.header[6] >> 4)
	}
	m.pieces = append(m.pieces, p)
	return nil
}

// finish sets the lengths of the pieces, and moves the last one to where the
// header says it is.
func (z *zMap) finish(m *fileMap) error {
	end := z.n.size
	for i := len(m.pieces) - 1; i >= 0; i-- {
		m.pieces[i].length = end - m.pieces[i].logical
		end = m.pieces[i].logical
	}
	last := &m.pieces[len(m.pieces)-1]
	switch size := int64(binary.LittleEndian.Uint16(z.header[2:])); {
	case z.advise&adviseFragment != 0:
		off := int64(binary.LittleEndian.Uint32(z.header))
		if z.n.layout == layoutFull {
			off |= last.phys / z.f.block << 32
		}
		*last = piece{logical: last.logical, length: last.length, phys: off, how: fragment}
	case z.advise&adviseInline != 0 && size > 0:
		last.phys, last.stored = z.end, size
		if z.end/z.f.block != (z.end+size-1)/z.f.block {
			return fmt.Errorf("the inline tail at byte %d crosses a block", z.end)
		}
	}
	for _, p := range m.pieces {
		if (p.how == stored || p.how == rotated) && p.length > p.stored {
			return fmt.Errorf("the piece at byte %d has %d bytes stored in %d", p.logical, p.length, p.stored)
		}
	}
	return nil
}

// big reports whether pieces of a type may take more than one cluster.
func (z *zMap) big() bool { return z.advise&(adviseBig1|adviseBig2) != 0 }

// full decodes indices of 8 bytes, FORMAT struct z_erofs_lcluster_index.
func (z *zMap) full(ctx context.Context, at, count int64, emit func(int64, zIndex) error) error {
	at += zFullPadding
	b, err := z.f.read(at, count*zFullIndex)
	if err != nil {
		return fmt.Errorf("reading cluster indices: %w", err)
	}
	z.end = at + count*zFullIndex
	le := binary.LittleEndian
	for lcn := range count {
		if lcn%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		e := b[lcn*zFullIndex:]
		x := zIndex{kind: int(le.Uint16(e) & 3), offset: int64(le.Uint16(e[2:])), block: le.Uint32(e[4:])}
		if d := le.Uint16(e[4:]); x.kind == clusterNonHead && d&blockCount != 0 {
			x.blocks = int64(d &^ blockCount)
		}
		if err := emit(lcn, x); err != nil {
			return err
		}
	}
	return nil
}
