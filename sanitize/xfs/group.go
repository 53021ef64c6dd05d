package xfs

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/bits"
	"sort"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Headers of an allocation group, XADS section "Allocation Groups": one sector
// each behind the superblock. Lengths are what is in use, version 4 and 5;
// sums are where version 5 keeps its checksums.
const (
	agfMagic  = 0x58414746 // "XAGF"
	agfLenV4  = 64
	agfLen    = 224
	agfOffSum = 216

	agiMagic       = 0x58414749 // "XAGI"
	agiLenV4       = 296
	agiLen         = 344
	agiOffSum      = 312
	agiOffUnlinked = 40
	agiBuckets     = 64
	nullInode      = 0xffffffff

	agflMagic  = 0x5841464c // "XAFL"
	agflHeader = 36         // version 5; version 4 has none
	agflOffSum = 32
)

// root is where a tree begins.
type root struct {
	tree   *btree
	at     uint64
	levels int
}

// group is what the headers of an allocation group say.
type group struct {
	trees []root
	// freeListDead are the slots of the free list that are not in use,
	// relative to its sector; freeBlocks is what the others name.
	freeListDead []disk.Extent
	freeBlocks   []int64
	free         int64 // blocks in the free space trees
}

func (f *filesystem) readGroup(n int64) (group, error) {
	var g group
	b := make([]byte, 4*f.sector)
	if err := sanitize.ReadFull(f.r, b, n*f.agBlocks*f.block); err != nil {
		return g, err
	}
	be := binary.BigEndian
	agf, agi, agfl := b[f.sector:2*f.sector], b[2*f.sector:3*f.sector], b[3*f.sector:]
	for _, h := range []struct {
		b     []byte
		magic uint32
	}{{agf, agfMagic}, {agi, agiMagic}} {
		if be.Uint32(h.b) != h.magic || int64(be.Uint32(h.b[8:])) != n || int64(be.Uint32(h.b[12:])) != f.groupLen(n) {
			return g, fmt.Errorf("a header has magic %#x, number %d and %d blocks", be.Uint32(h.b), be.Uint32(h.b[8:]), be.Uint32(h.b[12:]))
		}
	}
	for i := range agiBuckets {
		if be.Uint32(agi[agiOffUnlinked+4*i:]) != nullInode {
			return g, refused("deleted files wait to be freed", "mount the filesystem once, or run `xfs_repair` on a copy of the image")
		}
	}
	at := func(b []byte, off int) uint64 { return uint64(be.Uint32(b[off:])) }
	g.trees = []root{
		{bnoTree, at(agf, 16), int(at(agf, 28))},
		{cntTree, at(agf, 20), int(at(agf, 32))},
		{inoTree, at(agi, 20), int(at(agi, 24))},
	}
	if f.hasFinobt() {
		g.trees = append(g.trees, root{finoTree, at(agi, 328), int(at(agi, 332))})
	}
	if f.hasRmapbt() {
		g.trees = append(g.trees, root{rmapTree, at(agf, 24), int(at(agf, 36))})
	}
	if f.hasReflink() {
		g.trees = append(g.trees, root{refcTree, at(agf, 88), int(at(agf, 92))})
	}
	g.free = int64(be.Uint32(agf[52:]))
	return g, f.readFreeList(&g, n, agf, agfl)
}

// readFreeList reads the ring of blocks that are kept for the free space
// trees to grow into.
func (f *filesystem) readFreeList(g *group, n int64, agf, b []byte) error {
	be, at := binary.BigEndian, int64(0)
	if f.v5 {
		at = agflHeader
		if be.Uint32(b) != agflMagic {
			return fmt.Errorf("the free list has magic %#x", be.Uint32(b))
		}
	}
	size := (f.sector - at) / 4
	first, last, count := int64(be.Uint32(agf[40:])), int64(be.Uint32(agf[44:])), int64(be.Uint32(agf[48:]))
	if count > size || first >= size || last >= size || count > 0 && (first+count-1)%size != last {
		return fmt.Errorf("%d blocks on a free list from slot %d to %d of %d", count, first, last, size)
	}
	for i := range count {
		block := int64(be.Uint32(b[at+(first+i)%size*4:]))
		if block >= f.groupLen(n) {
			return fmt.Errorf("block %d on the free list of a group of %d", block, f.groupLen(n))
		}
		g.freeBlocks = append(g.freeBlocks, n*f.agBlocks+block)
	}
	end := at + size*4
	if first+count <= size {
		g.freeListDead = []disk.Extent{{Off: at, Len: first * 4}, {Off: at + (first+count)*4, Len: f.sector - at - (first+count)*4}}
		return nil
	}
	wrapped := (first + count) % size
	g.freeListDead = []disk.Extent{{Off: at + wrapped*4, Len: (first - wrapped) * 4}, {Off: end, Len: f.sector - end}}
	return nil
}

// chunkInodes is the number of inodes in a chunk, which is one record of the
// inode tree.
const chunkInodes = 64

// chunk is a run of 64 inodes. Bits count from its first inode.
type chunk struct {
	first uint64 // number of the first inode
	used  uint64 // in use
	there uint64 // not in use or in use; the others are holes
}

// readChunks reads the inode tree of every group.
func (f *filesystem) readChunks(ctx context.Context) error {
	for n, g := range f.groups {
		w := treeWalk{ctx: ctx, f: f, tree: inoTree, group: int64(n), seen: visited{}}
		w.record = func(rec []byte) error {
			c, err := f.parseChunk(uint64(n), rec)
			if err != nil {
				return err
			}
			if k := len(f.chunks); k > 0 && c.first < f.chunks[k-1].first+chunkInodes {
				return fmt.Errorf("inode %d is in two chunks", c.first)
			}
			f.chunks = append(f.chunks, c)
			return nil
		}
		for _, t := range g.trees {
			if t.tree != inoTree {
				continue
			}
			if err := w.below(t.at, t.levels-1); err != nil {
				return fmt.Errorf("reading the inodes of allocation group %d: %w", n, err)
			}
		}
	}
	return nil
}

// parseChunk reads a record of the inode tree, XADS sections "Inode B+trees"
// and "Sparse Inodes".
func (f *filesystem) parseChunk(group uint64, rec []byte) (chunk, error) {
	be := binary.BigEndian
	first := uint64(be.Uint32(rec))
	c := chunk{first: group<<(f.agBlockLog+f.inodesPerBlockLog) | first, there: ^uint64(0)}
	if f.incompat&incompatSparse != 0 {
		for i, holes := 0, be.Uint16(rec[4:]); i < 16; i++ {
			if holes>>i&1 != 0 {
				c.there &^= 0xf << (4 * i)
			}
		}
	}
	c.used = c.there &^ be.Uint64(rec[8:])
	if c.there == 0 {
		return c, fmt.Errorf("the chunk of inode %d is empty", c.first)
	}
	last := first + uint64(bits.Len64(c.there)) - 1
	if first%chunkInodes != 0 && first%(1<<f.inodesPerBlockLog) != 0 || int64(last>>f.inodesPerBlockLog) >= f.groupLen(int64(group)) {
		return c, fmt.Errorf("a chunk begins at inode %d", c.first)
	}
	return c, nil
}

// chunkOf returns the index of the chunk that holds inode num in use.
func (f *filesystem) chunkOf(num uint64) (int, error) {
	i := sort.Search(len(f.chunks), func(i int) bool { return f.chunks[i].first > num }) - 1
	if i < 0 || num-f.chunks[i].first >= chunkInodes || f.chunks[i].used>>(num-f.chunks[i].first)&1 == 0 {
		return 0, fmt.Errorf("inode %d is not in use", num)
	}
	return i, nil
}

// inodeOff returns where inode num lies, in bytes. Its chunk has been checked.
func (f *filesystem) inodeOff(num uint64) int64 {
	n := num >> (f.agBlockLog + f.inodesPerBlockLog)
	in := int64(num & (1<<(f.agBlockLog+f.inodesPerBlockLog) - 1))
	return int64(n)*f.agBlocks*f.block + in*f.inodeSize
}
