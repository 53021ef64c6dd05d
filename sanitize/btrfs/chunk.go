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

// Layout of a chunk, BTRFS section "Chunk items".
const (
	keyLen      = 17
	chunkHeader = 48
	stripeLen   = 32

	profileMask  = 0x7f8
	profileDup   = 0x20
	profileRAID0 = 0x8
)

// chunk is a run of logical addresses and where it lies on the device.
type chunk struct {
	logical, length int64
	at              []int64 // one place, or two that hold the same
}

// parseChunk reads a chunk item.
func (s *super) parseChunk(logical int64, b []byte) (chunk, error) {
	if len(b) < chunkHeader {
		return chunk{}, fmt.Errorf("chunk %d is cut off", logical)
	}
	le := binary.LittleEndian
	c := chunk{logical: logical, length: int64(le.Uint64(b))}
	stripes, profile := int64(le.Uint16(b[44:])), le.Uint64(b[24:])&profileMask
	if stripes < 1 || int64(len(b)) != chunkHeader+stripes*stripeLen {
		return chunk{}, fmt.Errorf("chunk %d has %d stripes in %d bytes", logical, stripes, len(b))
	}
	if single := stripes == 1 && (profile == 0 || profile == profileRAID0); !single && (stripes != 2 || profile != profileDup) {
		return chunk{}, fmt.Errorf("chunk %d has profile %#x with %d stripes, which one device does not hold", logical, profile, stripes)
	}
	for i := range stripes {
		e := b[chunkHeader+i*stripeLen:]
		at := int64(le.Uint64(e[8:]))
		switch {
		case le.Uint64(e) != s.device:
			return chunk{}, fmt.Errorf("chunk %d lies on device %d", logical, le.Uint64(e))
		case c.length <= 0 || logical < 0 || logical > 1<<62 || at < 0 || c.length > s.size-at || (c.length|logical|at)%s.sector != 0:
			return chunk{}, fmt.Errorf("chunk %d has %d bytes at byte %d", logical, c.length, at)
		}
		c.at = append(c.at, at)
	}
	return c, nil
}

// readChunks reads the system chunks, which the superblock holds, and by them
// the tree of all chunks.
func (f *filesystem) readChunks(ctx context.Context) error {
	for b := f.sysChunks; len(b) > 0; {
		if len(b) < keyLen+chunkHeader {
			return fmt.Errorf("the system chunks are cut off")
		}
		k, n := parseKey(b), chunkHeader+int(binary.LittleEndian.Uint16(b[keyLen+44:]))*stripeLen
		if k.kind != kindChunk || keyLen+n > len(b) {
			return fmt.Errorf("the system chunks are cut off")
		}
		c, err := f.parseChunk(int64(k.offset), b[keyLen:keyLen+n])
		if err != nil {
			return err
		}
		f.chunks = append(f.chunks, c)
		b = b[keyLen+n:]
	}
	if err := f.checkChunks(); err != nil {
		return err
	}
	var all []chunk
	w := treeWalk{ctx: ctx, f: f, seen: visited{}}
	w.leaf = func(n *node) error {
		for _, it := range n.items {
			if it.kind != kindChunk {
				continue
			}
			c, err := f.parseChunk(int64(it.offset), it.data)
			if err != nil {
				return err
			}
			all = append(all, c)
		}
		return nil
	}
	if err := w.below(f.chunkTree); err != nil {
		return err
	}
	f.chunks = all
	return f.checkChunks()
}

// checkChunks sorts the chunks; they share neither addresses nor space.
func (f *filesystem) checkChunks() error {
	slices.SortFunc(f.chunks, func(a, b chunk) int { return cmp.Compare(a.logical, b.logical) })
	var space []disk.Extent
	for i, c := range f.chunks {
		if i > 0 && c.logical < f.chunks[i-1].logical+f.chunks[i-1].length {
			return fmt.Errorf("chunks overlap at %d", c.logical)
		}
		for _, at := range c.at {
			space = append(space, disk.Extent{Off: at, Len: c.length})
		}
	}
	slices.SortFunc(space, func(a, b disk.Extent) int { return cmp.Compare(a.Off, b.Off) })
	for i := 1; i < len(space); i++ {
		if space[i].Off < space[i-1].End() {
			return fmt.Errorf("two chunks lie at byte %d", space[i].Off)
		}
	}
	return nil
}

// places returns where the n bytes at a logical address lie: in one chunk.
func (f *filesystem) places(logical, n int64) ([]int64, error) {
	i := f.chunkOf(logical)
	if i < 0 || n < 0 || logical-f.chunks[i].logical > f.chunks[i].length-n {
		return nil, fmt.Errorf("%d bytes at address %d are in no chunk", n, logical)
	}
	c := f.chunks[i]
	at := make([]int64, len(c.at))
	for k := range c.at {
		at[k] = c.at[k] + logical - c.logical
	}
	return at, nil
}

// chunkOf returns the index of the chunk that holds a logical address, or -1.
func (f *filesystem) chunkOf(logical int64) int {
	i := sort.Search(len(f.chunks), func(i int) bool { return f.chunks[i].logical > logical }) - 1
	if i < 0 || logical-f.chunks[i].logical >= f.chunks[i].length {
		return -1
	}
	return i
}
