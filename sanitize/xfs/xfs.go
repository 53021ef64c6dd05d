// Package xfs accounts for XFS filesystems, of version 4 and version 5.
//
// The layout is that of "XFS Algorithms & Data Structures", cited below as
// XADS, and of the kernel's fs/xfs/libxfs where that is silent.
//
// # What is dead
//
//   - Free: extents in the free space trees, and the blocks on the free lists.
//   - Slack: the rest of a file's last block, blocks beyond its end, unwritten
//     extents, and extents that were set aside for copy-on-write.
//   - Stale: the content of the log, inode records not in use, unused words of
//     records in use, unused regions of directories and of attributes, slots
//     of trees beyond their count, unused slots of the free lists, and what
//     lies behind the headers of an allocation group.
//
// Metadata that is written and checksummed as one is a unit; one traversal
// yields the units both to the ledger and to the resealing of checksums.
//
// # The log
//
// A clean log ends in an unmount record, which is kept. All else in the log is
// history, but for the cycle number in front of each sector: by these the
// kernel finds the head, and from the head it tells whether the sequence
// numbers in version 5 metadata are plausible. They are written anew; a sector
// that holds nothing else is metadata.
//
// # What is left alone
//
// Quota records and the real-time bitmaps are metadata as a whole. The hashes
// of deleted names stay in the index of a directory until it is compacted: the
// order of its entries depends on them. Blocks that are neither free nor
// reached from anywhere are unknown. A block that files share is dead only
// where no file reaches.
//
// # What is refused
//
// A log with anything but an unmount record at its head, a log or a real-time
// section on another device, deleted files that wait to be freed, and a
// filesystem that asks for xfs_repair. A feature flag that this package does
// not know makes the filesystem unrecognised.
package xfs

import (
	"context"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Driver recognises XFS.
type Driver struct{}

// Name returns "xfs".
func (Driver) Name() string { return "xfs" }

// Open reads the superblock, the headers of the allocation groups and the
// inode trees, and refuses a filesystem with pending work.
func (Driver) Open(ctx context.Context, r disk.Reader) (sanitize.Filesystem, error) {
	s, err := readSuper(r)
	if err != nil {
		return nil, err
	}
	f := &filesystem{super: s, r: r}
	if err := f.checkState(); err != nil {
		return nil, err
	}
	if f.head, err = f.readLog(ctx); err != nil {
		return nil, err
	}
	for n := range f.agCount {
		g, err := f.readGroup(n)
		if err != nil {
			return nil, fmt.Errorf("reading the headers of allocation group %d: %w", n, err)
		}
		f.groups = append(f.groups, g)
	}
	if err := f.readChunks(ctx); err != nil {
		return nil, err
	}
	return f, nil
}

type filesystem struct {
	*super
	r      disk.Reader
	head   logHead
	groups []group
	chunks []chunk // ascending
}

// Type returns "xfs".
func (f *filesystem) Type() string { return "xfs" }

// Label returns the name of the filesystem.
func (f *filesystem) Label() string { return f.label }

// Unit returns the size of the largest structure with a checksum: a block of a
// directory, which begins at any block. One that lies in several places is
// written piece by piece.
func (f *filesystem) Unit() (size, align int64) { return f.dirBlock, f.block }

func (s *super) checkState() error {
	switch {
	case s.inProgress:
		return refused("mkfs.xfs did not finish", "make the filesystem again")
	case s.incompat&incompatNeedsRepair != 0:
		return refused("the filesystem is marked as in need of repair", "run `xfs_repair` on a copy of the image first")
	case s.realtime > 0:
		return refused("the filesystem has a real-time section on another device", "copy its files into a filesystem without one")
	case s.logStart == 0:
		return refused("the log is on another device, so nobody can say that it is clean", "copy the files into a filesystem with an internal log")
	}
	return nil
}

func refused(why, hint string) error {
	return fault.New(fault.Input, fmt.Errorf("%s: %w", why, sanitize.ErrRefused), hint)
}
