// Package btrfs accounts for btrfs filesystems on one device.
//
// The layout is that of the kernel's include/uapi/linux/btrfs_tree.h and of
// "On-disk Format" in the btrfs documentation, cited below as BTRFS. A logical
// address is translated to places on the device by chunks; with the profile
// DUP there are two. Blocks of trees are found by following every tree, and
// allocated space by the extent tree.
//
// # What is dead
//
//   - Free: space of the device outside of chunks, and space of chunks outside
//     of extents. Each commit leaves the former blocks of its trees there, with
//     their names and small files.
//   - Slack: parts of data extents that no file of any snapshot shows:
//     preallocated space, what was overwritten within an extent that is
//     otherwise in use, and the rest of a file's last sector. The kernel mostly
//     zeroes that when it writes the sector, but not when it cuts a file short.
//   - Stale: the gap between the items of a leaf and their data, the unused
//     pointers of a node, and in the superblocks the unused part of the system
//     chunks, the rest of the label, and roots of former generations.
//   - Gap: the first 64 KiB, unless a boot sector is there, and the space
//     behind the filesystem.
//
// Checksums of tree blocks and superblocks are renewed, and so are those of
// the data sectors in which bytes are zeroed. A sector that a file shows in part
// is left alone when its checksum does not hold before: a new one would hide that
// it is damaged. In place the checksum of such a sector is renewed first, so that
// another run knows a scrub that was cut off from damage; until then the kernel
// does not read the sector.
//
// # What is left alone
//
// Snapshots live, by design. A compressed extent is live as a whole, what a file
// no longer shows of it too. Extents whose files cannot all be found are live as a whole. Boot code
// may fill all of the first MiB outside of the superblock.
//
// # What is refused
//
// A log tree to replay, deleted subvolumes that wait to be freed, a conversion
// or a change of checksums that was cut off, and a filesystem of several
// devices. A feature flag that this package does not know makes the filesystem
// unrecognised.
package btrfs

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Driver recognises btrfs.
type Driver struct{}

// Name returns "btrfs".
func (Driver) Name() string { return "btrfs" }

// Open reads the superblock and the chunks, and refuses a filesystem with
// pending work.
func (Driver) Open(ctx context.Context, r disk.Reader) (sanitize.Filesystem, error) {
	s, err := readSuper(r)
	if err != nil {
		return nil, err
	}
	if err := s.checkState(); err != nil {
		return nil, err
	}
	f := &filesystem{super: s, r: r, rests: new(atomic.Pointer[[]disk.Extent])}
	if err := f.readChunks(ctx); err != nil {
		return nil, fmt.Errorf("reading the chunks: %w", err)
	}
	return f, nil
}

type filesystem struct {
	*super
	r      disk.Reader
	chunks []chunk                        // ascending by logical address
	rests  *atomic.Pointer[[]disk.Extent] // what Closing returns
}

// Type returns "btrfs".
func (f *filesystem) Type() string { return "btrfs" }

// Label returns the label.
func (f *filesystem) Label() string { return f.label }

// Unit returns the size of a tree block, which is the largest structure with a
// checksum. One may begin at any sector, but to say so would let its units wait
// for those that hold checksums of data, and data must not come after them.
func (f *filesystem) Unit() (size, align int64) { return f.nodeSize, f.nodeSize }

// Closing returns the sectors that a file shows in part and whose rest is not
// empty, as the last account found them.
func (f *filesystem) Closing() []disk.Extent {
	if rests := f.rests.Load(); rests != nil {
		return *rests
	}
	return nil
}

// Bits of the superblock's flags, BTRFS section "Superblock".
const (
	flagError        = 1 << 2
	flagsUnfinished  = 1<<33 | 1<<34 | 1<<35 | 1<<36 | 1<<38 | 1<<39 | 1<<40
	flagSeeding      = 1 << 32
	refuseRepairHint = "run `btrfs check` on a copy of the image first"
)

func (s *super) checkState() error {
	switch {
	case s.logRoot != 0:
		return refused("a log tree waits to be replayed", "mount the filesystem once and unmount it")
	case s.flags&flagError != 0:
		return refused("the filesystem is marked as erroneous", refuseRepairHint)
	case s.flags&flagsUnfinished != 0:
		return refused("a change of the whole filesystem was cut off", "let `btrfstune` finish on a copy of the image")
	case s.devices != 1 || s.flags&flagSeeding != 0:
		return refused(fmt.Sprintf("the filesystem has %d devices, of which this is one", s.devices), "remove the other devices with `btrfs device remove`")
	}
	return nil
}

func refused(why, hint string) error {
	return fault.New(fault.Input, fmt.Errorf("%s: %w", why, sanitize.ErrRefused), hint)
}
