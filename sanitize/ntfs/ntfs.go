// Package ntfs accounts for NTFS volumes, versions 1.2 to 3.1.
//
// The layout is that of include/ntfs-3g/layout.h of ntfs-3g 2022.10.3, cited
// below as LAYOUT with the name of the structure. All numbers are
// little-endian. Everything on a volume is a file, and every file is a record
// of the master file table (MFT) with attributes; what does not fit into a
// record lies in clusters that the attribute maps.
//
// # What is dead
//
//   - Free: clusters that $Bitmap calls free.
//   - Slack: clusters of an attribute behind its initialized size, so the tail
//     of a file and the part of it that reads as zero though it is allocated;
//     in a compression unit, what is behind the compressed stream and behind
//     the part of it that the end of the file needs.
//   - Stale: MFT records not in use but for their header, the rest of records
//     in use, index blocks not in use and the rest of those in use, the rest
//     of index roots, what the alignment of values and of entries leaves, and
//     the log.
//
// Records and index blocks are protected by fixups: the last two bytes of
// each 512 hold a sequence number, and the bytes that belong there are saved
// at the front. A sequence number is never dead; a saved byte is as dead as
// the place that it was saved from. Alignment that holds zeros stays with
// what is around it: a region for each would double the ledger.
//
// Not everything dead may read as zero. The log is left filled with ones, as
// Windows, ntfs-3g and ntfswipe make an empty one, and a record that is not in
// use gets the header of an empty one, with its sequence number. [Reseal] does
// both. Pages of the log that are all ones are metadata.
//
// Left alone are $Boot and the backup of the boot sector, all clusters of
// encrypted streams, and the content of every live file: the change journal, the paging file and volume
// shadow copies are named in the ledger and for their owner to drop. A cluster
// that is bad, or allocated and reached from no record, is unknown.
//
// # What is refused
//
// A volume that is marked dirty, whose log was not closed, that holds a
// hibernated Windows, or whose mirror of the first MFT records differs:
// Windows has work to do first.
package ntfs

import (
	"context"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Driver recognises NTFS.
type Driver struct{}

// Name returns "ntfs".
func (Driver) Name() string { return "ntfs" }

// Open reads the boot sector and the system files and refuses a volume with
// pending work.
func (Driver) Open(ctx context.Context, r disk.Reader) (sanitize.Filesystem, error) {
	g, err := readBoot(r)
	if err != nil {
		return nil, err
	}
	f := &filesystem{geometry: g, r: r}
	if err := f.openMFT(); err != nil {
		return nil, fmt.Errorf("reading the MFT: %w", err)
	}
	if err := f.checkState(ctx); err != nil {
		return nil, err
	}
	return f, nil
}

// Records of the system files, LAYOUT NTFS_SYSTEM_FILES.
const (
	fileMFT      = 0
	fileMirror   = 1
	fileLog      = 2
	fileVolume   = 3
	fileRoot     = 5
	fileBitmap   = 6
	fileBoot     = 7
	fileBad      = 8
	fileFirstAny = 16 // the first record that is not reserved
)

type filesystem struct {
	geometry
	r        disk.Reader
	mft      *stream       // the records
	mftBits  *stream       // which of them are allocated
	restarts int64         // bytes of the log up to the end of its restart pages
	newest   []disk.Extent // where the restart page that counts is
	mirrored []disk.Extent // the records that have a mirror, and the mirror
	label    string
}

// Type returns "NTFS".
func (f *filesystem) Type() string { return "NTFS" }

// Label returns the volume name.
func (f *filesystem) Label() string { return f.label }

// refused says why Windows must look at the volume first, and how.
func refused(why, hint string) error {
	return fault.New(fault.Input, fmt.Errorf("%s: %w", why, sanitize.ErrRefused), hint)
}

const repairHint = "run `chkdsk /f` in Windows, or `ntfsfix -d` on a copy of the volume first"
