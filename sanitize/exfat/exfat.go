// Package exfat accounts for exFAT volumes.
//
// The layout is that of Microsoft's "exFAT file system specification", cited
// below as SPEC with its section. All numbers are little-endian. A volume is a
// boot region and its backup, an allocation table (FAT), and a heap of
// clusters. A bitmap says which clusters are allocated; the table chains only
// the clusters of files that are not contiguous.
//
// # What is dead
//
//   - Free: clusters that the bitmap calls free.
//   - Slack: clusters of a file behind its valid data length, so its tail and
//     the part of it that reads as zero though it is allocated.
//   - Stale: directory entries that are not in use but for their type, what
//     follows the end mark of a directory, entries of the table that chain
//     nothing that lives, the rest of the table, and the rest of the label.
//   - Gap: the sectors around the table and behind the last cluster.
//
// Entries of a file are sealed with a checksum over the whole set, and the
// boot regions with one over all their sectors. Where these cover what is
// dead (characters behind the end of a name, the reserved sector of a boot
// region) it is metadata, and [Reseal] writes zeros and the checksum at once,
// so that the volume is sound at every moment.
//
// Boot code is kept, and so is the field that tells how full the volume is. A
// cluster that is bad, or allocated and reached from no directory, is unknown.
//
// # What is refused
//
// A volume that is marked dirty or as failing, and one whose checksums do not
// hold. TexFAT, with its two tables and bitmaps, is not supported.
package exfat

import (
	"context"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Driver recognises exFAT.
type Driver struct{}

// Name returns "exfat".
func (Driver) Name() string { return "exfat" }

// Open reads the boot region and the root directory.
func (Driver) Open(ctx context.Context, r disk.Reader) (sanitize.Filesystem, error) {
	g, err := readBoot(r)
	if err != nil {
		return nil, err
	}
	v := &volume{geometry: g, r: r, fat: newTable(r, g)}
	if err := v.checkBoot(); err != nil {
		return nil, err
	}
	if err := v.openRoot(ctx); err != nil {
		return nil, fmt.Errorf("reading the root directory: %w", err)
	}
	return v, nil
}

type volume struct {
	geometry
	r      disk.Reader
	fat    *table
	bitmap allocation
	label  string
}

// Type returns "exFAT".
func (v *volume) Type() string { return "exFAT" }

// Label returns the volume label.
func (v *volume) Label() string { return v.label }

func refused(why string) error {
	return fault.New(fault.Input, fmt.Errorf("%s: %w", why, sanitize.ErrRefused), "run `fsck.exfat -y` on a copy of the volume first")
}
