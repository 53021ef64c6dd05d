package convert

import (
	"context"
	"errors"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/source"
)

// opened is what is converted: one disk of a source.
type opened struct {
	*source.Source
	disk       disk.Reader
	diskFormat string
	chosen     source.Disk
}

// openSource opens a disk, or one disk of a package.
func openSource(ctx context.Context, path, name string) (*opened, error) {
	s, err := source.Open(ctx, path)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	o := &opened{Source: s}
	o.chosen, err = s.One(name)
	if err == nil {
		if o.disk, o.diskFormat, err = o.chosen.Open(); err != nil {
			err = source.Unreadable(path, err)
		} else {
			err = o.refuseText()
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), s.Close())
	}
	return o, nil
}

// refuseText refuses what is no disk: every file can be a raw image, but none
// ends within a sector.
func (o *opened) refuseText() error {
	if o.diskFormat == "raw" && o.disk.Size()%disk.SectorSize != 0 {
		return fault.New(fault.Input, fmt.Errorf("it is no image of a known kind, and its %d bytes are no whole sectors", o.disk.Size()),
			"of an output in several files, name the one that holds the disk")
	}
	return nil
}
