package ext

import (
	"context"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// tableOwner owns the inode tables; no path equals it.
const tableOwner = "inode table"

// table accounts for the inode table of group g as a whole, and for the blocks
// of inodes in use that no directory leads to.
func (a *account) table(g int64) error {
	f, at := a.f, a.f.groups[g].inodeTable*a.f.block
	used, err := f.inodesInUse(g)
	if err != nil {
		return err
	}
	for i := range f.inodesPerGroup {
		num := uint32(g*f.inodesPerGroup + i + 1)
		named := a.done.has(num)
		switch inUse := used != nil && used.set(i); {
		case named == inUse:
			continue
		case named:
			return fmt.Errorf("inode %d has a name and is free in the bitmap", num)
		}
		if err := a.ctx.Err(); err != nil {
			return err
		}
		n, err := f.inode(num)
		if err != nil {
			return err
		}
		if _, err := a.content(n, fmt.Sprintf("inode %d", num), new(fileMap)); err != nil {
			return err
		}
	}
	a.tables[at] = g
	a.bytes(at, f.tableBlocks()*f.block, sanitize.Metadata, tableOwner)
	return nil
}

// tables takes inode tables apart as they are emitted: most regions of a
// filesystem lie in them, and they need not be sorted among the others.
type tables struct {
	f     *filesystem
	ctx   context.Context
	group map[int64]int64 // by the byte at which the table begins
	emit  func(sanitize.Region) error

	reader tableReader
	dead   []disk.Extent // in the record at hand
}

// region emits g, or the records of the inode table that it is.
func (t *tables) region(g sanitize.Region) error {
	if g.Owner != tableOwner {
		return t.emit(g)
	}
	group := t.group[g.Off]
	if err := t.records(group, g.Extent); err != nil {
		return fmt.Errorf("reading the inodes of group %d: %w", group, err)
	}
	return nil
}

// records emits the inode table of a group, which lies at e. Runs of records
// that are not in use become one region.
func (t *tables) records(group int64, e disk.Extent) error {
	at := e.Off
	next := func(to int64, c sanitize.Class) error {
		g := sanitize.Region{Extent: disk.Extent{Off: at, Len: to - at}, Class: c, Owner: tableOwner}
		switch at = to; {
		case g.Len == 0:
			return nil
		case g.Len < 0 || to > e.End():
			return fmt.Errorf("a record has parts that overlap at byte %d", to)
		}
		return t.emit(g)
	}
	err := t.reader.group(group, func(n *inode, off int64) (err error) {
		if t.dead, err = t.f.deadInRecord(n, t.dead[:0]); err != nil {
			return err
		}
		if err := next(off, sanitize.Stale); err != nil {
			return err
		}
		for _, d := range t.dead {
			if err := next(off+d.Off, sanitize.Metadata); err != nil {
				return err
			}
			if err := next(off+d.End(), sanitize.Stale); err != nil {
				return err
			}
		}
		if err := t.ctx.Err(); err != nil {
			return err
		}
		return next(off+t.f.inodeSize, sanitize.Metadata)
	})
	if err != nil {
		return err
	}
	return next(e.End(), sanitize.Stale)
}
