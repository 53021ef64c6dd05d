// Package ext accounts for ext2, ext3 and ext4 filesystems.
//
// The layout is that of the kernel's Documentation/filesystems/ext4 ("ext4
// Data Structures and Algorithms"), cited below as DISK, and of e2fsprogs
// where that is silent.
//
// # What is dead
//
//   - Free: blocks that the block bitmap calls free.
//   - Slack: the rest of a file's last block, blocks beyond its end, unwritten
//     extents, and unmapped blocks of a bigalloc cluster.
//   - Stale: the log of the journal, inode records not in use, unused words of
//     records in use, gaps and unused entries of directories, index entries
//     beyond their count, gaps of attribute blocks, backup copies of reserved
//     descriptor blocks, the tails of superblock and descriptor blocks, what
//     follows the end of the superblock's strings, the entries of an orphan file
//     in which nobody waits, and the names that multi-mount protection keeps.
//
// Backup superblocks are not dead, but keep what the primary no longer says: an
// old label, UUID or place of mounting. Resealing makes them agree.
//
// A device that holds the journal of another filesystem is dead but for its two
// superblocks.
//
// Left alone are the first kibibyte (boot code; see [sanitize.BootArea]), files with fs-verity (their
// hash tree lies beyond the end of the file), the tails of encrypted files,
// and encrypted directories. A block that is allocated and reached from
// nowhere is unknown.
//
// # What is refused
//
// A journal with a pending transaction (unless it is replayed first, see
// [Driver.Replay]), orphans that wait for deletion, a
// filesystem that was not unmounted or is marked as erroneous: the kernel or
// e2fsck has work to do first. A feature flag that this package does not know
// makes the filesystem unrecognised.
package ext

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Driver recognises ext2, ext3 and ext4.
type Driver struct{}

// Name returns "ext4".
func (Driver) Name() string { return "ext4" }

// Open reads the superblock and the group descriptors and refuses a
// filesystem with pending work.
func (Driver) Open(ctx context.Context, r disk.Reader) (sanitize.Filesystem, error) {
	if j, err := openJournalDevice(r); j != nil || err != nil {
		return j, err
	}
	s, err := readSuper(r)
	if err != nil {
		return nil, err
	}
	f := newFilesystem(s, r)
	if err := f.checkState(); err != nil {
		return nil, err
	}
	if err := f.checkMMP(); err != nil {
		return nil, err
	}
	if err := f.readGroups(ctx); err != nil {
		return nil, err
	}
	if err := f.checkJournal(ctx); err != nil {
		return nil, err
	}
	return f, nil
}

type filesystem struct {
	*super
	r        disk.Reader
	contents disk.Reader // the same, for what is read once
	groups   []group
}

func newFilesystem(s *super, r disk.Reader) *filesystem {
	return &filesystem{super: s, r: r, contents: disk.Uncached(r)}
}

// Type returns "ext2", "ext3" or "ext4", as blkid tells them apart.
func (f *filesystem) Type() string {
	const ext3Incompat = incompatFiletype | incompatRecover | incompatMetaBG
	const ext3ROCompat = roSparseSuper | roLargeFile | roBtreeDir
	switch {
	case f.incompat&^ext3Incompat != 0 || f.roCompat&^ext3ROCompat != 0:
		return "ext4"
	case f.compat&compatJournal != 0:
		return "ext3"
	}
	return "ext2"
}

// Unit implements [sanitize.Unit]: what a checksum covers lies in one block.
func (f *filesystem) Unit() (size, align int64) { return f.block, f.block }

// Label returns the volume name.
func (f *filesystem) Label() string { return f.label }

// Bits of s_state, DISK section "The Super Block".
const (
	stateValid = 1
	stateError = 2
)

func (f *filesystem) checkState() error {
	switch {
	case f.incompat&incompatRecover != 0:
		return refused("the journal has a transaction to replay")
	case f.state&stateError != 0:
		return refused("the filesystem is marked as erroneous")
	case f.state&stateValid == 0:
		return refused("the filesystem was not unmounted cleanly")
	case f.lastOrphan != 0 || f.roCompat&roOrphanPresent != 0:
		return refused("deleted files wait to be freed")
	}
	return nil
}

func refused(why string) error {
	return fault.New(fault.Input, fmt.Errorf("%s: %w", why, sanitize.ErrRefused), "--replay replays a journal; for anything else run `e2fsck -f -y` on a copy of the filesystem first")
}

// Magic and fields of the journal's superblock, which is big-endian: DISK
// section "Journal (jbd2)".
const (
	journalMagic    = 0xc03b3998
	journalSuperV1  = 3
	journalSuperV2  = 4
	journalSuperLen = 1024
	journalOffType  = 4
	journalOffStart = 0x1c
	journalOffErrno = 0x20
)

// checkJournal requires that the log inside the filesystem has been replayed
// whole. An external journal is another device's business.
func (f *filesystem) checkJournal(ctx context.Context) error {
	if f.compat&compatJournal == 0 || f.journalInum == 0 {
		return nil
	}
	n, err := f.inode(f.journalInum)
	if err != nil {
		return fmt.Errorf("reading the journal's inode: %w", err)
	}
	m, err := f.mapping(ctx, n, nil)
	if err != nil {
		return fmt.Errorf("mapping the journal: %w", err)
	}
	if len(m.runs) == 0 || m.runs[0].Logical != 0 {
		return fmt.Errorf("the journal has no first block")
	}
	return checkLog(f.r, m.runs[0].Phys*f.block)
}

// checkLog reads the journal's superblock at byte off.
func checkLog(r disk.Reader, off int64) error {
	b := make([]byte, journalSuperLen)
	if err := sanitize.ReadFull(r, b, off); err != nil {
		return fmt.Errorf("reading the journal's superblock: %w", err)
	}
	be := binary.BigEndian
	kind := be.Uint32(b[journalOffType:])
	if be.Uint32(b) != journalMagic || kind != journalSuperV1 && kind != journalSuperV2 {
		return fmt.Errorf("the journal has no superblock")
	}
	if be.Uint32(b[journalOffStart:]) != 0 {
		return refused("the journal has a transaction to replay")
	}
	if be.Uint32(b[journalOffErrno:]) != 0 {
		return refused("the journal is marked as erroneous")
	}
	return nil
}
