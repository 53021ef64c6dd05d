package diff

import (
	"context"
	"errors"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/part"
	"github.com/imgbuild/imgbuild/inspect"
	"github.com/imgbuild/imgbuild/output/source"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/drivers"
)

// Disk is in what a disk of the first image differs from the one at its place
// in the second.
type Disk struct {
	// A and B are the names of the disks in packages.
	A string `json:"a,omitempty"`
	B string `json:"b,omitempty"`
	// Facts are of the disk as a whole, and of its partition table.
	Facts []Fact `json:"facts,omitempty"`
	// Volumes are the partitions that differ, or the one filesystem of a disk
	// without a table.
	Volumes []Volume `json:"volumes,omitempty"`
	// Bytes is nil when they were not compared.
	Bytes *ByteDiff `json:"bytes,omitempty"`
}

// same reports whether nothing differs.
func (d *Disk) same() bool {
	return len(d.Facts) == 0 && len(d.Volumes) == 0 && (d.Bytes == nil || d.Bytes.Differ == 0)
}

// opened is a disk, and what is known of it.
type opened struct {
	disk.Reader
	name    string
	table   *inspect.Table
	volumes []inspect.Volume
	ledger  *sanitize.Ledger
}

// compareDisks compares the disks one by one, in the order of their packages.
func (c *comparison) compareDisks(ctx context.Context) error {
	a, b := disksOf(c.sources[0]), disksOf(c.sources[1])
	if len(a) != len(b) && c.wants(Description) {
		c.report.Description = compare(c.report.Description, "disks", len(a), len(b))
		c.report.Same = false
	}
	for i := range min(len(a), len(b)) {
		var pair [2]*opened
		err := both(ctx, func(ctx context.Context, side int) error {
			d, err := open(ctx, [2]source.Disk{a[i], b[i]}[side])
			pair[side] = d
			return about(c.sources[side].Path, err)
		})
		if err != nil {
			return err
		}
		d := Disk{A: pair[0].name, B: pair[1].name}
		if err := c.compareDisk(ctx, &d, pair); err != nil {
			return err
		}
		c.report.Same = c.report.Same && d.same()
		c.report.Disks = append(c.report.Disks, d)
	}
	return nil
}

// disksOf are the disks that have content.
func disksOf(s *source.Source) []source.Disk {
	var list []source.Disk
	for _, d := range s.Disks {
		if !d.Blank {
			list = append(list, d)
		}
	}
	return list
}

// open opens a disk and takes its ledger.
func open(ctx context.Context, d source.Disk) (*opened, error) {
	r, _, err := d.Open()
	if err != nil {
		return nil, err
	}
	o := &opened{Reader: r, name: d.Name}
	t, err := part.Parse(r)
	switch {
	case errors.Is(err, part.ErrNotFound):
	case err != nil:
		return nil, fmt.Errorf("reading the partition table: %w", err)
	default:
		o.table, o.volumes = inspect.NewTable(t), inspect.Partitions(t)
	}
	if o.ledger, err = sanitize.Read(ctx, r, drivers.All(), sanitize.ReadOptions{Tolerant: true}); err != nil {
		return nil, err
	}
	if o.table == nil {
		for _, v := range o.ledger.Volumes {
			o.volumes = append(o.volumes, inspect.Volume{Offset: v.Off, Size: v.Len})
		}
	}
	for i := range o.volumes {
		o.volumes[i].Name, o.volumes[i].Label = name(o.volumes[i], o.ledger)
		if l := o.found(o.volumes[i]); l != nil {
			o.volumes[i].Filesystem = l.Type
			if l.Err != nil {
				o.volumes[i].Error = l.Err.Error()
			}
		}
	}
	return o, nil
}

// name returns the name of a partition, and the label of its filesystem when
// that is another.
func name(v inspect.Volume, l *sanitize.Ledger) (string, string) {
	for _, found := range l.Volumes {
		if found.Off == v.Offset && found.Label != v.Name {
			return v.Name, found.Label
		}
	}
	return v.Name, ""
}

// found returns what the ledger knows of a volume, or nil.
func (o *opened) found(v inspect.Volume) *sanitize.Volume {
	for i := range o.ledger.Volumes {
		if o.ledger.Volumes[i].Off == v.Offset {
			return &o.ledger.Volumes[i]
		}
	}
	return nil
}

// compareDisk compares two disks: first their bytes, for what is equal need
// not be looked into.
func (c *comparison) compareDisk(ctx context.Context, d *Disk, pair [2]*opened) error {
	a, b := pair[0], pair[1]
	equal := func(inspect.Volume, inspect.Volume) bool { return false }
	if c.wants(Bytes) {
		found, err := c.compareBytes(ctx, pair)
		if err != nil {
			return err
		}
		d.Bytes = &found.ByteDiff
		equal = found.equal
	}
	if c.wants(Partitions) {
		d.Facts = compare(d.Facts, "virtual size", a.Size(), b.Size())
		d.Facts = append(d.Facts, tableFacts(a.table, b.table)...)
	}
	return c.compareVolumes(ctx, d, pair, equal)
}

// tableFacts compares two partition tables.
func tableFacts(a, b *inspect.Table) []Fact {
	var none inspect.Table
	if a == nil {
		a = &none
	}
	if b == nil {
		b = &none
	}
	facts := compare(nil, "partition table", a.Scheme, b.Scheme)
	facts = compare(facts, "disk identifier", a.ID, b.ID)
	return compare(facts, "notes on the table", words(a.Notes), words(b.Notes))
}
