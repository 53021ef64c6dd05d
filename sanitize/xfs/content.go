package xfs

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// chunk yields the inode records of chunk i, and the content of inodes in use
// that no directory leads to. Runs of records that are not in use are units
// one by one: each has a checksum of its own.
func (s *survey) chunk(i int) error {
	c, f := s.f.chunks[i], s.f
	if err := s.ctx.Err(); err != nil {
		return err
	}
	const owner = "inodes"
	off := f.inodeOff(c.first)
	b := make([]byte, int64(bits.Len64(c.there))*f.inodeSize)
	if err := sanitize.ReadFull(f.r, b, off); err != nil {
		return fmt.Errorf("reading inode %d: %w", c.first, err)
	}
	free := f.freeRecord()
	for k := range uint64(chunkInodes) {
		bit, from := uint64(1)<<k, int64(k)*f.inodeSize
		if c.there&bit == 0 {
			continue
		}
		u := unit{at: at(off+from, f.inodeSize), dead: free, sum: f.sum(inodeOffSum), owner: owner}
		if c.used&bit != 0 {
			n, err := f.parseInode(c.first+k, b[from:from+f.inodeSize])
			if err == nil {
				u.dead, err = n.dead()
			}
			if err != nil {
				return fmt.Errorf("reading inode %d: %w", c.first+k, err)
			}
			if s.fresh(n.num) {
				if _, err := s.content(n, fmt.Sprintf("inode %d", n.num)); err != nil {
					return err
				}
			}
		} else if binary.BigEndian.Uint16(b[from:]) != inodeMagic {
			return fmt.Errorf("free inode %d has no magic", c.first+k)
		}
		if err := s.unit(u); err != nil {
			return err
		}
	}
	return nil
}

// content yields the blocks of n, and returns the entries of a directory.
func (s *survey) content(n *inode, owner string) ([]dirent, error) {
	f := s.f
	am, err := f.mapping(s.ctx, n.attr, s.seen)
	if err != nil {
		return nil, fmt.Errorf("mapping the attributes of inode %d: %w", n.num, err)
	}
	if err := s.attributes(n, am, owner); err != nil {
		return nil, fmt.Errorf("reading the attributes of inode %d: %w", n.num, err)
	}
	m, err := f.mapping(s.ctx, n.data, s.seen)
	if err != nil {
		return nil, fmt.Errorf("mapping inode %d: %w", n.num, err)
	}
	if err := s.mapBlocks(m, owner); err != nil {
		return nil, err
	}
	switch n.kind() {
	case modeDir:
		return s.dir(n, m, "directory "+owner)
	case modeSymlink:
		return nil, s.symlink(n, m, owner)
	}
	if slices.Contains(f.system[:], n.num) {
		for _, r := range m.runs {
			s.blocks(r.Phys, r.Count, sanitize.Metadata, fmt.Sprintf("system inode %d", n.num))
		}
		return nil, nil
	}
	s.data(n, m, owner)
	return nil, nil
}

// spend bounds what directories and attributes claim by what there is.
func (s *survey) spend(m fileMap) error {
	for _, r := range m.runs {
		s.spent += r.Count
	}
	if s.spent > s.f.blocks {
		return fmt.Errorf("directories and attributes claim more blocks than there are")
	}
	return nil
}

// mapBlocks yields the blocks of a map.
func (s *survey) mapBlocks(m fileMap, owner string) error {
	_, sum := blockTree.header(s.f.v5)
	for _, t := range m.tree {
		if err := s.unit(unit{at(t.phys*s.f.block, s.f.block), t.dead, sum, owner}); err != nil {
			return err
		}
	}
	return nil
}

// attributes yields the blocks with attributes of n. Blocks of its map that no
// attribute leads to are metadata: an attribute may be half removed.
func (s *survey) attributes(n *inode, m fileMap, owner string) error {
	if err := s.spend(m); err != nil {
		return err
	}
	if err := s.mapBlocks(m, owner); err != nil {
		return err
	}
	_, units, err := s.f.attributes(s.ctx, n, m)
	if err != nil {
		return err
	}
	reached := visited{}
	for _, u := range units {
		reached[u.at[0].Off/s.f.block] = struct{}{}
		u.owner = "attributes of " + owner
		if err := s.unit(u); err != nil {
			return err
		}
	}
	for _, r := range m.runs {
		for phys := r.Phys; phys < r.Phys+r.Count; phys++ {
			if _, ok := reached[phys]; !ok {
				s.blocks(phys, 1, sanitize.Metadata, "attributes of "+owner)
			}
		}
	}
	return nil
}

func (s *survey) dir(n *inode, m fileMap, owner string) ([]dirent, error) {
	if err := s.spend(m); err != nil {
		return nil, err
	}
	var entries []dirent
	add := func(e dirent) error { entries = append(entries, e); return nil }
	err := s.f.directory(s.ctx, n, m, add, func(d dirBlock) error {
		return s.unit(unit{d.at, d.dead, d.sum, owner})
	})
	return entries, err
}

// symlink yields the blocks of a target that does not fit into the inode.
func (s *survey) symlink(n *inode, m fileMap, owner string) error {
	if n.data.format == forkLocal {
		return nil
	}
	_, units, err := s.f.target(s.ctx, n, m)
	if err != nil {
		return err
	}
	for _, u := range units {
		u.owner = owner
		if err := s.unit(u); err != nil {
			return err
		}
	}
	return nil
}

// maxTarget bounds the target of a symbolic link, in bytes (kernel,
// XFS_SYMLINK_MAXLEN).
const maxTarget = 1024

// target reads the target of a symbolic link that has blocks, and the units it
// is stored in. In version 5 each run of blocks has a header.
func (f *filesystem) target(ctx context.Context, n *inode, m fileMap) (string, []unit, error) {
	if n.size > maxTarget {
		return "", nil, fmt.Errorf("symbolic link %d has a target of %d bytes", n.num, n.size)
	}
	head := int64(0)
	if f.v5 {
		head = remoteHeader
	}
	var target []byte
	var units []unit
	for _, r := range m.runs {
		length := r.Count * f.block
		if length > 2*maxTarget+f.block || ctx.Err() != nil {
			return "", nil, fmt.Errorf("symbolic link %d has %d blocks in a row", n.num, r.Count)
		}
		b := make([]byte, length)
		if err := sanitize.ReadFull(f.r, b, r.Phys*f.block); err != nil {
			return "", nil, err
		}
		used := min(n.size-int64(len(target)), length-head)
		if f.v5 && (binary.BigEndian.Uint32(b) != remoteMagicTarget || int64(binary.BigEndian.Uint32(b[remoteOffBytes:])) != used) {
			return "", nil, fmt.Errorf("a block of symbolic link %d does not hold %d bytes", n.num, used)
		}
		target = append(target, b[head:head+used]...)
		units = append(units, unit{at: at(r.Phys*f.block, length), dead: []disk.Extent{span(head+used, length)}, sum: f.sum(remoteOffSum)})
	}
	if int64(len(target)) != n.size {
		return "", nil, fmt.Errorf("symbolic link %d stores %d bytes of %d", n.num, len(target), n.size)
	}
	return string(target), units, nil
}

// data yields the content of a file. Unwritten extents read as zero, whatever
// their blocks hold.
func (s *survey) data(n *inode, m fileMap, owner string) {
	shared := n.flags2&flags2Reflink != 0
	for _, r := range m.runs {
		from, length := r.Logical*s.f.block, r.Count*s.f.block
		live := min(max(n.size-from, 0), length)
		if r.Unwritten {
			live = 0
		}
		off := r.Phys * s.f.block
		s.extent(sanitize.Region{Extent: disk.Extent{Off: off, Len: live}, Class: sanitize.Live, Owner: owner}, shared)
		s.extent(sanitize.Region{Extent: disk.Extent{Off: off + live, Len: length - live}, Class: sanitize.Slack, Owner: owner}, shared)
	}
}
