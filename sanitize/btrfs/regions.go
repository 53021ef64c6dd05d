package btrfs

import (
	"bytes"
	"context"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Regions accounts for every byte; see the package comment.
func (f *filesystem) Regions(ctx context.Context, emit func(sanitize.Region) error) error {
	c, err := f.count(ctx)
	if err != nil {
		return err
	}
	f.rests.Store(&c.rests)
	a := &account{f: f, dead: c.unshown()}
	if err := a.head(); err != nil {
		return err
	}
	for _, e := range c.extents {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := a.extent(c, e); err != nil {
			return err
		}
	}
	if err := sanitize.Tile(a.pieces, 0, f.size, emit, sanitize.Fill(sanitize.Free, "free space", emit)); err != nil {
		return err
	}
	return sanitize.Tail(f.r, f.size, emit)
}

// account collects what owns bytes of the device.
type account struct {
	f      *filesystem
	pieces []sanitize.Region
	dead   []disk.Extent // parts of data that no file shows
}

func (a *account) bytes(off, n int64, c sanitize.Class, owner string) {
	if n > 0 {
		a.pieces = append(a.pieces, sanitize.Region{Extent: disk.Extent{Off: off, Len: n}, Class: c, Owner: owner})
	}
}

// split accounts for the n bytes at off: of class c where an extent of dead,
// relative to off and ascending, says so, and of class live elsewhere.
func (a *account) split(off, n int64, dead []disk.Extent, live, c sanitize.Class, owner string) {
	at := int64(0)
	for _, d := range dead {
		a.bytes(off+at, d.Off-at, live, owner)
		a.bytes(off+d.Off, d.Len, c, owner)
		at = d.End()
	}
	a.bytes(off+at, n-at, live, owner)
}

// Boot code lies in the first 64 KiB, with a signature at the end of its first
// sector; GRUB goes on behind the superblock, up to the first MiB, which holds
// no chunk.
const (
	bootSignature = 510
	bootEnd       = 1 << 20
)

// head accounts for what lies outside of chunks: boot code and superblocks. A
// copy that is not of this generation is left as it is.
func (a *account) head() error {
	f := a.f
	sig := make([]byte, 2)
	if err := sanitize.ReadFull(f.r, sig, bootSignature); err != nil {
		return err
	}
	class := sanitize.Gap
	if bytes.Equal(sig, []byte{0x55, 0xaa}) {
		class = sanitize.BootCode
		first := min(bootEnd, f.size)
		for _, c := range f.chunks {
			for _, at := range c.at {
				first = min(first, at)
			}
		}
		a.bytes(superFirst+superLen, first-superFirst-superLen, class, "boot area")
	}
	a.bytes(0, superFirst, class, "boot area")
	for _, off := range f.copies() {
		b, ok, err := f.readCopy(off)
		if err != nil {
			return err
		}
		var dead []disk.Extent
		if ok {
			dead = f.superDead(b)
		}
		a.split(off, superLen, dead, sanitize.Metadata, sanitize.Stale, "superblock")
	}
	return nil
}

// extent accounts for an extent, in each of its places.
func (a *account) extent(c *census, e extent) error {
	f := a.f
	dead, known := c.nodes[e.Off]
	if e.tree && known {
		return a.block(e, dead)
	}
	at, err := f.places(e.Off, e.Len)
	if err != nil {
		return err
	}
	live, owner, unseen := sanitize.Live, "data", []disk.Extent(nil)
	if e.tree {
		live, owner = sanitize.Metadata, "tree block that no tree leads to"
	} else {
		for _, d := range c.unseen(e) {
			unseen = append(unseen, disk.Extent{Off: d.Off - e.Off, Len: d.Len})
		}
	}
	for _, off := range at {
		a.split(off, e.Len, unseen, live, sanitize.Slack, owner)
	}
	return nil
}

// block accounts for a tree block. What its copies hold must be the same, for
// they are given new checksums; checksums of dead data may differ, where a
// scrub was cut off.
func (a *account) block(e extent, dead disk.Extent) error {
	at, err := a.f.places(e.Off, e.Len)
	if err != nil {
		return err
	}
	var first []byte
	for i, off := range at {
		if len(at) > 1 {
			b := make([]byte, e.Len)
			if err := sanitize.ReadFull(a.f.r, b, off); err != nil {
				return err
			}
			if err := a.forget(b, dead); err != nil {
				return err
			}
			if i > 0 && !bytes.Equal(b, first) {
				return fmt.Errorf("the copies of tree block %d differ", e.Off)
			}
			first = b
		}
		a.split(off, e.Len, []disk.Extent{dead}, sanitize.Metadata, sanitize.Stale, "trees")
	}
	return nil
}

// forget clears what a scrub changes in a tree block.
func (a *account) forget(b []byte, dead disk.Extent) error {
	err := a.f.deadSums(b, a.dead, func(at, _ int64) error {
		clear(b[at : at+a.f.sums.size])
		return nil
	})
	clear(b[:sumField])
	clear(b[dead.Off:dead.End()])
	return err
}
