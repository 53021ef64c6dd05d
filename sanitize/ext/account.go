package ext

import (
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// tree accounts for the blocks of every inode that a path leads to, under its
// first path.
func (a *account) tree() error {
	a.done = newInodeSet(a.f.inodes)
	return a.f.descend(a.ctx, func(n *inode, path string) ([]dirent, error) {
		var m *fileMap
		var entries []dirent
		if a.done.add(n.num) {
			m = new(fileMap)
			var err error
			if entries, err = a.content(n, path, m); err != nil {
				return nil, err
			}
		}
		if a.file == nil {
			return entries, nil
		}
		file, err := a.f.describe(a.ctx, n, path, m)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		return entries, a.file(file)
	})
}

// content accounts for the blocks of n, puts their map into m, and returns the
// entries of a directory.
func (a *account) content(n *inode, owner string, m *fileMap) ([]dirent, error) {
	if n.num == inodeResize {
		// Its one map block points at the reserved descriptors, which
		// the geometry has accounted for.
		if at := int64(binary.LittleEndian.Uint32(n.iBlock()[4*(directBlocks+1):])); at != 0 && at < a.f.blocks {
			a.blocks(at, 1, sanitize.Metadata, "resize inode")
		}
		return nil, nil
	}
	if err := a.attributes(n); err != nil {
		return nil, err
	}
	var err error
	if *m, err = a.f.mapping(a.ctx, n, a.seen); err != nil {
		return nil, err
	}
	a.mapBlocks(*m, owner)
	switch {
	case n.num == a.f.journalInum:
		a.journal(*m)
	case n.kind() == modeDir:
		return a.dir(n, *m, "directory "+owner)
	case a.f.isOrphanFile(n):
		for _, r := range m.runs {
			for i := range r.Count {
				entries := []disk.Extent{{Len: a.f.block - orphanTail}}
				a.split((r.Phys+i)*a.f.block, a.f.block, entries, "orphan file")
			}
		}
	case n.num < a.f.firstInode || n.num == a.f.prjQuota && n.num != 0:
		for _, r := range m.runs {
			a.blocks(r.Phys, r.Count, sanitize.Metadata, fmt.Sprintf("system inode %d", n.num))
		}
	default:
		a.data(n, *m, owner)
	}
	return nil, nil
}

// attributes accounts for the attribute block of n, which files may share.
func (a *account) attributes(n *inode) error {
	if n.acl == 0 {
		return nil
	}
	if _, ok := a.attrs[n.acl]; ok {
		return nil
	}
	a.attrs[n.acl] = struct{}{}
	area, _, err := a.f.xattrBlock(n.acl)
	if err != nil {
		return err
	}
	gap := []disk.Extent{{Off: area.gap, Len: area.values - area.gap}}
	a.split(n.acl*a.f.block, a.f.block, gap, "extended attributes")
	return nil
}

// mapBlocks accounts for the blocks of a map. Extents beyond the count are
// what a truncation left.
func (a *account) mapBlocks(m fileMap, owner string) {
	for _, t := range m.tree {
		if t.entries < 0 {
			a.blocks(t.phys, 1, sanitize.Metadata, owner)
			continue
		}
		unused := disk.Extent{Off: extentHeader + t.entries*extentEntry, Len: (t.max - t.entries) * extentEntry}
		a.split(t.phys*a.f.block, a.f.block, []disk.Extent{unused}, owner)
	}
}

// journal accounts for a log without pending transactions: all but its
// superblock is history.
func (a *account) journal(m fileMap) {
	const owner = "journal"
	for _, r := range m.runs {
		at, n := r.Phys*a.f.block, r.Count*a.f.block
		if r.Logical == 0 {
			a.bytes(at, journalSuperLen, sanitize.Metadata, owner)
			at, n = at+journalSuperLen, n-journalSuperLen
		}
		a.bytes(at, n, sanitize.Stale, owner)
	}
}

func (a *account) dir(n *inode, m fileMap, owner string) ([]dirent, error) {
	var entries []dirent
	add := func(e dirent) { entries = append(entries, e) }
	if n.has(flagInline) {
		return entries, a.f.inlineEntries(n, add)
	}
	err := a.f.directory(a.ctx, n, m, a.buf, add, func(d dirBlock) error {
		a.split(d.phys*a.f.block, a.f.block, d.dead, owner)
		return nil
	})
	return entries, err
}

// data accounts for the content of a file. Unwritten extents read as zero,
// whatever their blocks hold.
func (a *account) data(n *inode, m fileMap, owner string) {
	size := n.size
	if n.has(flagEncrypt) {
		size = (size + a.f.block - 1) / a.f.block * a.f.block
	}
	for _, r := range m.runs {
		from, length := r.Logical*a.f.block, r.Count*a.f.block
		live := min(max(size-from, 0), length)
		switch {
		case n.has(flagVerity):
			live = length
		case r.Unwritten:
			live = 0
		}
		a.bytes(r.Phys*a.f.block, live, sanitize.Live, owner)
		a.bytes(r.Phys*a.f.block+live, length-live, sanitize.Slack, owner)
	}
}
