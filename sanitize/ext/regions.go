package ext

import (
	"context"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Regions accounts for every byte; see the package comment.
func (f *filesystem) Regions(ctx context.Context, emit func(sanitize.Region) error) error {
	return f.Survey(ctx, nil, emit)
}

// Survey implements [sanitize.Surveyor]. Without file it does what Regions does.
func (f *filesystem) Survey(ctx context.Context, file func(sanitize.File) error, emit func(sanitize.Region) error) error {
	a := &account{
		f: f, ctx: ctx, seen: visited{}, attrs: visited{}, tables: map[int64]int64{},
		buf: make([]byte, f.block), file: file, pieces: make([]sanitize.Region, 0, f.expected()),
	}
	if err := a.boot(); err != nil {
		return err
	}
	a.geometry()
	if err := a.tree(); err != nil {
		return err
	}
	for g := range f.groupCount() {
		if err := a.table(g); err != nil {
			return fmt.Errorf("reading the inodes of group %d: %w", g, err)
		}
	}
	end := f.blocks * f.block
	t := &tables{f: f, ctx: ctx, group: a.tables, emit: emit, reader: tableReader{f: f, r: f.contents}}
	u := &usage{f: f, ctx: ctx, group: -1, emit: t.region, pieces: a.pieces}
	if err := sanitize.Tile(a.pieces, 0, end, u.claimed, u.unclaimed); err != nil {
		return err
	}
	return sanitize.Tail(f.r, end, emit)
}

// account collects what owns bytes.
type account struct {
	f      *filesystem
	ctx    context.Context
	pieces []sanitize.Region
	seen   visited // map blocks
	attrs  visited // attribute blocks, which files share
	done   inodeSet
	tables map[int64]int64 // groups by the byte at which their inode table begins
	buf    []byte          // of one block
	file   func(sanitize.File) error
}

// expected is about how many pieces the files in use will need: their content,
// and what is behind its end.
func (f *filesystem) expected() int64 {
	n := int64(0)
	for _, g := range f.groups {
		n += max(f.inodesPerGroup-g.freeInodes, 0)
	}
	return min(5*n/2, 1<<18)
}

func (a *account) bytes(off, n int64, c sanitize.Class, owner string) {
	if n > 0 {
		a.pieces = append(a.pieces, sanitize.Region{Extent: disk.Extent{Off: off, Len: n}, Class: c, Owner: owner})
	}
}

func (a *account) blocks(phys, n int64, c sanitize.Class, owner string) {
	a.bytes(phys*a.f.block, n*a.f.block, c, owner)
}

// split accounts for the n bytes at off: dead where an extent of dead,
// relative to off and ascending, says so, metadata elsewhere.
func (a *account) split(off, n int64, dead []disk.Extent, owner string) {
	at := int64(0)
	for _, d := range dead {
		a.bytes(off+at, d.Off-at, sanitize.Metadata, owner)
		a.bytes(off+d.Off, d.Len, sanitize.Stale, owner)
		at = d.End()
	}
	a.bytes(off+at, n-at, sanitize.Metadata, owner)
}

// boot accounts for what lies before the superblock: a block of its own where
// blocks are that small.
func (a *account) boot() error {
	area, err := sanitize.BootArea(a.f.r, superOff)
	a.pieces = append(a.pieces, area...)
	return err
}

// geometry accounts for what the superblock alone determines.
func (a *account) geometry() {
	f := a.f
	for g := range f.groupCount() {
		a.copies(g)
		a.bitmaps(g)
	}
	if f.incompat&incompatMMP != 0 && f.mmpBlock > 0 && f.mmpBlock < f.blocks {
		a.split(f.mmpBlock*f.block, f.block, f.mmpDead(), "multi-mount protection")
	}
}

// copies accounts for the superblock and the descriptors at the start of
// group g (e2fsprogs, ext2fs_super_and_bgd_loc2).
func (a *account) copies(g int64) {
	f, at := a.f, a.f.superBlock(g)
	if f.hasSuper(g) {
		off := at * f.block
		if at == 0 {
			off = superOff
		}
		var dead []disk.Extent
		if g == 0 {
			dead = f.deadInSuper // backups are made like the primary
		}
		a.split(off, superLen, dead, "superblock")
		a.bytes(off+superLen, (at+1)*f.block-off-superLen, sanitize.Stale, "superblock tail")
		at++
	}
	if perMeta := f.descPerBlock(); f.incompat&incompatMetaBG != 0 && g/perMeta >= f.firstMetaBG {
		if i := g % perMeta; i == 0 || i == 1 || i == perMeta-1 {
			a.descriptors(at, g/perMeta)
		}
		return
	}
	if !f.hasSuper(g) {
		return
	}
	count, reserved := f.descBlocks(), f.reservedGDT
	if f.incompat&incompatMetaBG != 0 {
		count, reserved = f.firstMetaBG, 0
	}
	for i := range count {
		a.descriptors(at+i, i)
	}
	// The primary blocks are the resize inode's pointers to the backups; the
	// backups hold nothing until the filesystem grows into them.
	class := sanitize.Metadata
	if g > 0 && f.compat&compatResizeInode != 0 {
		class = sanitize.Stale
	}
	a.blocks(at+count, reserved, class, "reserved group descriptors")
}

// descriptors accounts for a copy of descriptor block n at block at.
func (a *account) descriptors(at, n int64) {
	f := a.f
	used := min(f.groupCount()-n*f.descPerBlock(), f.descPerBlock()) * f.descSize
	a.bytes(at*f.block, used, sanitize.Metadata, "group descriptors")
	a.bytes(at*f.block+used, f.block-used, sanitize.Stale, "group descriptors")
}

// bitmaps accounts for the bitmaps of group g. One that is not initialised is
// made anew before it is used.
func (a *account) bitmaps(g int64) {
	d := a.f.groups[g]
	for _, m := range []struct {
		at     int64
		uninit bool
		owner  string
	}{{d.blockBitmap, d.blockUninit, "block bitmap"}, {d.inodeBitmap, d.inodeUninit, "inode bitmap"}} {
		class := sanitize.Metadata
		if m.uninit {
			class = sanitize.Stale
		}
		a.blocks(m.at, 1, class, m.owner)
	}
}
