package ovm

import (
	"context"
	"fmt"
	"time"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/tarred"
)

// sink takes the first disk. The others follow when it is complete.
type sink struct {
	disk.Sink
	format  Format
	file    *output.Pending
	archive *tarred.Packed
	more    func() error
}

// disk adds the header of the disk i, and returns its place.
func (s *sink) disk(i int, size int64, when time.Time) (disk.Sink, error) {
	header, err := tarred.File(DiskName(i), size, when)
	if err != nil {
		return nil, err
	}
	if err := s.archive.Add(header); err != nil {
		return nil, err
	}
	return s.archive.Disk(size), nil
}

// addDisks writes all disks but the first.
func (s *sink) addDisks(ctx context.Context, a output.Appliance) error {
	for i, d := range a.Disks {
		place, err := s.disk(i+1, d.Size(), a.Created)
		if err == nil {
			err = disk.Copy(ctx, d, nil, place)
		}
		if err != nil {
			return fmt.Errorf("writing %s: %w", DiskName(i+1), err)
		}
	}
	return nil
}

// Close implements disk.Sink: it writes the further disks, and the end.
func (s *sink) Close() error {
	more := s.more
	s.more = func() error { return nil }
	if err := more(); err != nil {
		return err
	}
	return s.archive.Close()
}

// Commit implements output.Sink.
func (s *sink) Commit() ([]output.File, error) { return output.Commit(s.format.Name(), s.file) }

// Abort implements output.Sink.
func (s *sink) Abort() {
	// What Close says of an archive that is dropped does not matter.
	_ = s.archive.Close()
	s.file.Abort()
}
