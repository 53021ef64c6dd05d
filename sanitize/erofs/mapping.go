package erofs

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
)

// How the bytes of a piece are stored.
type storage uint8

const (
	stored     storage = iota // as they are
	rotated                   // as they are, the part before a block border last
	compressed                // LZ4 or another algorithm
	fragment                  // in the packed inode, at phys
	hole
)

// piece is a part of a file's content.
type piece struct {
	logical, length int64 // in the file
	phys, stored    int64 // on the disk
	how             storage
	algorithm       int
}

// fileMap is where a file's content is.
type fileMap struct {
	pieces []piece // ascending, without gap
	// index is the metadata behind the inode that the map was read from.
	index disk.Extent
}

func (f *filesystem) mapping(ctx context.Context, n *inode) (fileMap, error) {
	if !n.hasData() {
		return fileMap{}, nil
	}
	var m fileMap
	var err error
	switch n.layout {
	case layoutPlain, layoutInline:
		m, err = f.flat(n)
	case layoutChunks:
		m, err = f.chunks(ctx, n)
	case layoutFull, layoutCompact:
		m, err = f.compressed(ctx, n)
	default:
		err = fmt.Errorf("layout %d", n.layout)
	}
	if err != nil {
		return m, fmt.Errorf("mapping inode %d: %w", n.nid, err)
	}
	for _, p := range m.pieces {
		if p.how == hole || p.how == fragment {
			continue
		}
		if p.phys < 0 || p.stored < 0 || p.phys > f.size || p.stored > f.size-p.phys {
			return m, fmt.Errorf("mapping inode %d: %d bytes at byte %d lie outside of %d", n.nid, p.stored, p.phys, f.size)
		}
	}
	return m, nil
}

// flat maps a file that is one run of blocks, its tail perhaps behind the
// inode.
func (f *filesystem) flat(n *inode) (fileMap, error) {
	var m fileMap
	if n.size == 0 {
		return m, nil
	}
	inBlocks := n.size
	if n.layout == layoutInline {
		inBlocks = (n.size - 1) / f.block * f.block
	}
	if inBlocks > 0 {
		m.pieces = append(m.pieces, piece{length: inBlocks, phys: int64(n.u) * f.block, stored: inBlocks})
	}
	if tail := n.size - inBlocks; tail > 0 {
		at := n.body()
		if at/f.block != (at+tail-1)/f.block {
			return m, fmt.Errorf("the inline tail at byte %d crosses a block", at)
		}
		m.pieces = append(m.pieces, piece{logical: inBlocks, length: tail, phys: at, stored: tail})
	}
	return m, nil
}

// Layout of chunk indices, FORMAT struct erofs_inode_chunk_info.
const (
	chunkBits    = 0x1f
	chunkIndexes = 0x20
	chunkHole    = 0xffffffff
)

func (f *filesystem) chunks(ctx context.Context, n *inode) (fileMap, error) {
	size := f.block << (n.u & chunkBits)
	if n.u&chunkBits > 30 {
		return fileMap{}, fmt.Errorf("chunk size 2^%d blocks", n.u&chunkBits)
	}
	entry, at := int64(4), roundUp(n.body(), 4)
	if n.u&chunkIndexes != 0 {
		entry, at = 8, roundUp(n.body(), 8)
	}
	count := n.size / size
	if n.size%size > 0 {
		count++
	}
	if count > f.size/entry {
		return fileMap{}, fmt.Errorf("%d chunks", count)
	}
	b, err := f.read(at, count*entry)
	if err != nil {
		return fileMap{}, fmt.Errorf("reading chunk indices: %w", err)
	}
	m := fileMap{index: disk.Extent{Off: at, Len: count * entry}}
	for i := range count {
		if i%1024 == 0 && ctx.Err() != nil {
			return m, ctx.Err()
		}
		e := b[i*entry:]
		p := piece{logical: i * size, length: min(size, n.size-i*size)}
		if entry == 8 {
			e = e[4:]
		}
		if block := binary.LittleEndian.Uint32(e); block == chunkHole {
			p.how = hole
		} else {
			p.phys, p.stored = int64(block)*f.block, p.length
		}
		m.pieces = append(m.pieces, p)
	}
	return m, nil
}
