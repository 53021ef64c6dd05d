package ntfs

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/imgbuild/imgbuild/disk"
)

// Reseal gives the records that are not in use the header of an empty record,
// in the MFT and in its mirror, and fills the log with ones. Only what differs
// is written.
func (f *filesystem) Reseal(ctx context.Context, w disk.Writer) error {
	mirror, err := f.file(fileMirror)
	if err != nil {
		return err
	}
	for _, s := range []*stream{f.mft, mirror.stream(attrData, "")} {
		if err := f.emptyRecords(ctx, w, s); err != nil {
			return fmt.Errorf("emptying unused MFT records: %w", err)
		}
	}
	return f.emptyLog(ctx, w)
}

// emptyLog fills the log with ones.
func (f *filesystem) emptyLog(ctx context.Context, w disk.Writer) error {
	log, err := f.logFile()
	if err != nil {
		return err
	}
	after := *log
	after.r = w
	ones := bytes.Repeat([]byte{emptyByte}, logPage)
	return eachLogPage(ctx, &after, func(e disk.Extent, empty bool) error {
		if empty {
			return nil
		}
		return after.write(w, ones, e.Off)
	})
}

// Closing returns the restart page of the log that counts, and the records that
// have a mirror with that mirror. Until the page is gone it says that the log
// was closed, so a run that is cut off leaves a volume that can be mounted. The
// two copies come right after each other: in between they differ, which another
// run or ntfsfix finishes.
func (f *filesystem) Closing() []disk.Extent { return append(slices.Clone(f.newest), f.mirrored...) }

// emptyRecords makes the unused records in s what they must be.
func (f *filesystem) emptyRecords(ctx context.Context, w disk.Writer, s *stream) error {
	after := *s
	after.r = w
	b := make([]byte, f.recordSize)
	for off := int64(0); off+f.recordSize <= s.limit(); off += f.recordSize {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := after.read(b, off); err != nil {
			return err
		}
		if inUse(b) {
			continue
		}
		if e := emptied(b); !bytes.Equal(e, b) {
			if err := after.write(w, e, off); err != nil {
				return err
			}
		}
	}
	return nil
}
