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
	chosen     []source.Disk // of the source; disk comes first
	more       []disk.Reader
	others     []*source.Source // the further images, with the last of more
}

// openSource opens a disk, or one disk of a package; for a machine, and without
// a name, all disks of a package's first machine, and those of further images.
func openSource(ctx context.Context, o Options, t target) (*opened, error) {
	if len(o.More) > 0 && !t.several {
		return nil, fault.New(fault.Usage, fmt.Errorf("%s holds one disk, and there are %d images", t.format, 1+len(o.More)), "convert each for itself, or name an OUT that describes a machine")
	}
	s, err := open(ctx, o.In)
	if err != nil {
		return nil, err
	}
	src := &opened{Source: s}
	if t.several && o.Disk == "" {
		src.chosen = src.ofMachine()
	}
	if len(src.chosen) == 0 {
		src.chosen = make([]source.Disk, 1)
		src.chosen[0], err = s.One(o.Disk)
	}
	if err == nil {
		err = src.open(o.In)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", o.In, err), src.Close())
	}
	for _, path := range o.More {
		if err := src.add(ctx, path); err != nil {
			return nil, errors.Join(err, src.Close())
		}
	}
	return src, nil
}

// open opens a source. Its errors tell the path.
func open(ctx context.Context, path string) (*source.Source, error) {
	s, err := source.Open(ctx, path)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("opening %s: %w", path, err)
	}
	return s, err
}

// add opens the disk of a further image.
func (o *opened) add(ctx context.Context, path string) error {
	s, err := open(ctx, path)
	if err != nil {
		return err
	}
	o.others = append(o.others, s)
	d, err := s.One("")
	if err != nil {
		return fmt.Errorf("opening %s: %w", path, err)
	}
	r, format, err := d.Open()
	if err != nil {
		return fmt.Errorf("opening %s: %w", path, source.Unreadable(path, err))
	}
	if err := refuseText(r, format); err != nil {
		return fmt.Errorf("opening %s: %w", path, err)
	}
	o.more = append(o.more, r)
	return nil
}

// Close gives back what is open.
func (o *opened) Close() error {
	errs := []error{o.Source.Close()}
	for _, s := range o.others {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// ofMachine returns the disks of the first machine that has some with a content,
// in its order.
func (o *opened) ofMachine() []source.Disk {
	if o.Package == nil {
		return nil
	}
	for _, m := range o.Package.Machines {
		var disks []source.Disk
		content := false
		for _, id := range m.Disks {
			i := slices.IndexFunc(o.Disks, func(d source.Disk) bool { return d.ID == id })
			if i < 0 || has(disks, id) || o.Disks[i].Blank && !usable(o.Disks[i].Capacity) {
				continue
			}
			disks = append(disks, o.Disks[i])
			content = content || !o.Disks[i].Blank
		}
		if content {
			return disks
		}
	}
	return nil
}

// usable tells sizes of a blank disk, in bytes, that every container takes.
func usable(capacity int64) bool { return 0 < capacity && capacity <= 2<<40-1<<30 }

// openDisk opens a disk, also one without a file.
func openDisk(d source.Disk) (disk.Reader, string, error) {
	if d.Blank {
		return disk.NewMemory((d.Capacity + disk.SectorSize - 1) / disk.SectorSize * disk.SectorSize), "blank", nil
	}
	return d.Open()
}

// has reports whether the disk of that ID is among the disks.
func has(disks []source.Disk, id string) bool {
	return slices.ContainsFunc(disks, func(d source.Disk) bool { return d.ID == id })
}

// open opens the chosen disks.
func (o *opened) open(path string) (err error) {
	if o.disk, o.diskFormat, err = openDisk(o.chosen[0]); err != nil {
		return source.Unreadable(path, err)
	}
	for _, d := range o.chosen[1:] {
		r, _, err := openDisk(d)
		if err != nil {
			return source.Unreadable(path, err)
		}
		o.more = append(o.more, r)
	}
	return refuseText(o.disk, o.diskFormat)
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
func refuseText(r disk.Reader, format string) error {
	if format == "raw" && r.Size()%disk.SectorSize != 0 {
		return fault.New(fault.Input, fmt.Errorf("it is no image of a known kind, and its %d bytes are no whole sectors", r.Size()),
			"of an output in several files, name the one that holds the disk")
	}
	return nil
}
