package convert

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/source"
)

// opened is what is converted: a disk of a source, and for a machine its further
// disks.
type opened struct {
	*source.Source
	disk       disk.Reader
	diskFormat string
	chosen     []source.Disk // disk comes first
	more       []disk.Reader
}

// openSource opens a disk, or one disk of a package; with machine, and without a
// name, all disks of a package's first machine.
func openSource(ctx context.Context, path, name string, machine bool) (*opened, error) {
	s, err := source.Open(ctx, path)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	o := &opened{Source: s}
	if machine && name == "" {
		o.chosen = o.ofMachine()
	}
	if len(o.chosen) == 0 {
		o.chosen = make([]source.Disk, 1)
		o.chosen[0], err = s.One(name)
	}
	if err == nil {
		err = o.open(path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), s.Close())
	}
	return o, nil
}

// ofMachine returns the disks of the first machine that has some, in its order.
// Blank disks have nothing to keep.
func (o *opened) ofMachine() []source.Disk {
	if o.Package == nil {
		return nil
	}
	var disks []source.Disk
	for _, m := range o.Package.Machines {
		for _, id := range m.Disks {
			i := slices.IndexFunc(o.Disks, func(d source.Disk) bool { return d.ID == id && !d.Blank })
			if i >= 0 && !has(disks, id) {
				disks = append(disks, o.Disks[i])
			}
		}
		if len(disks) > 0 {
			break
		}
	}
	return disks
}

// has reports whether the disk of that ID is among the disks.
func has(disks []source.Disk, id string) bool {
	return slices.ContainsFunc(disks, func(d source.Disk) bool { return d.ID == id })
}

// open opens the chosen disks.
func (o *opened) open(path string) (err error) {
	if o.disk, o.diskFormat, err = o.chosen[0].Open(); err != nil {
		return source.Unreadable(path, err)
	}
	for _, d := range o.chosen[1:] {
		r, _, err := d.Open()
		if err != nil {
			return source.Unreadable(path, err)
		}
		o.more = append(o.more, r)
	}
	return o.refuseText()
}

// size is that of all disks, in bytes.
func (o *opened) size() int64 {
	n := o.disk.Size()
	for _, d := range o.more {
		n += d.Size()
	}
	return n
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
