package sanitize

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/imgbuild/imgbuild/disk"
)

// Ledger is the account of an image. It does not change once it is read.
type Ledger struct {
	// Size is that of the image, in bytes: the sum of all regions.
	Size int64
	// Regions cover [0, Size) exactly, ascending, without gap or overlap.
	// Neighbours of equal class and owner are one region.
	Regions []Region
	// Volumes are the places where a filesystem is expected: one for each
	// partition, or one for an image without a partition table.
	Volumes []Volume

	table *table // nil without a partition table
}

// Volume is a partition, or the whole of an image without a table.
type Volume struct {
	disk.Extent
	// Driver is the name of the driver that recognised the filesystem, and
	// Type what it calls it. Both are empty when none did.
	Driver, Type string
	// Label is the filesystem's own label, else the name of the partition.
	Label string
	// Err says why a recognised filesystem is accounted for as unknown; it
	// is only ever set under [ReadOptions.Tolerant].
	Err error

	fs Filesystem
}

// ReadOptions changes how a ledger is read.
type ReadOptions struct {
	// Tolerant makes a filesystem that is refused or damaged one unknown
	// region with its reason in [Volume.Err], instead of an error. Audit
	// reads so; scrub never does.
	Tolerant bool
}

// Labeler is a filesystem that has a label.
type Labeler interface {
	// Label returns the label, or "" when none is set.
	Label() string
}

// Read takes the ledger of r. The first driver that recognises a partition
// accounts for it. The error wraps [ErrRefused] when a filesystem must not be
// scrubbed as it is.
func Read(ctx context.Context, r disk.Reader, drivers []Driver, opts ReadOptions) (*Ledger, error) {
	return read(ctx, r, drivers, opts, func(ctx context.Context, v Volume, emit func(Region) error) error {
		return v.fs.Regions(ctx, emit)
	})
}

// regionsOf asks the filesystem of a volume for its regions.
type regionsOf func(ctx context.Context, v Volume, emit func(Region) error) error

// read is [Read] with another way to ask a filesystem.
func read(ctx context.Context, r disk.Reader, drivers []Driver, opts ReadOptions, regions regionsOf) (*Ledger, error) {
	r = disk.Cached(r)
	l := &Ledger{Size: r.Size()}
	t, err := readTable(r)
	if err != nil {
		return nil, fmt.Errorf("reading the partition table: %w", err)
	}
	if t == nil {
		if l.Size > 0 {
			if err := l.readVolume(ctx, r, Volume{Extent: disk.Extent{Len: l.Size}}, drivers, opts, regions); err != nil {
				return nil, err
			}
		}
		return l, nil
	}
	l.table = t
	for _, it := range t.items {
		if it.volume == nil {
			l.add(it.Region)
			continue
		}
		if err := l.readVolume(ctx, r, *it.volume, drivers, opts, regions); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// readVolume appends the regions of one volume.
func (l *Ledger) readVolume(ctx context.Context, r disk.Reader, v Volume, drivers []Driver, opts ReadOptions, regions regionsOf) error {
	part := disk.Section(r, v.Off, v.Len)
	driver, fsys, err := recognise(ctx, part, drivers)
	first := len(l.Regions)
	if err == nil && fsys != nil {
		v.Driver, v.Type, v.fs = driver.Name(), fsys.Type(), fsys
		if lb, ok := fsys.(Labeler); ok && lb.Label() != "" {
			v.Label = lb.Label()
		}
		err = l.addFilesystem(ctx, v, regions)
	}
	switch {
	case err != nil && (ctx.Err() != nil || !opts.Tolerant):
		return fmt.Errorf("reading the volume at byte %d: %w", v.Off, err)
	case err != nil:
		l.Regions = l.Regions[:first]
		v.Err, v.fs = err, nil
		l.Regions = append(l.Regions, Region{v.Extent, Unknown, "unreadable filesystem"})
	case fsys == nil:
		l.Regions = append(l.Regions, Region{v.Extent, Unknown, "unrecognised volume"})
	}
	l.Volumes = append(l.Volumes, v)
	return nil
}

// recognise asks the drivers in turn. It returns nils when none knows r.
func recognise(ctx context.Context, r disk.Reader, drivers []Driver) (Driver, Filesystem, error) {
	for _, d := range drivers {
		fsys, err := d.Open(ctx, r)
		switch {
		case errors.Is(err, ErrNotRecognized):
			continue
		case err != nil:
			return nil, nil, fmt.Errorf("opening %s: %w", d.Name(), err)
		}
		return d, fsys, nil
	}
	return nil, nil, nil
}

// addFilesystem appends a driver's regions, shifted, and holds the driver to
// its contract: they tile the volume.
func (l *Ledger) addFilesystem(ctx context.Context, v Volume, regions regionsOf) error {
	var next int64
	// The first region must not merge with what is before the volume: a
	// tolerant reader may have to take back this volume's regions.
	fresh := true
	err := regions(ctx, v, func(g Region) error {
		switch {
		case g.Off != next:
			return fmt.Errorf("driver %s: region at byte %d where byte %d was due", v.Driver, g.Off, next)
		case g.Len <= 0 || g.Len > v.Len-next:
			return fmt.Errorf("driver %s: region at byte %d has length %d in a volume of %d", v.Driver, g.Off, g.Len, v.Len)
		case g.Class > Gap:
			return fmt.Errorf("driver %s: region at byte %d has no class", v.Driver, g.Off)
		}
		next = g.End()
		g.Off += v.Off
		if fresh {
			fresh = false
			l.Regions = append(l.Regions, g)
			return nil
		}
		l.add(g)
		return nil
	})
	if err != nil {
		return err
	}
	if next != v.Len {
		return fmt.Errorf("driver %s: regions end at byte %d of %d", v.Driver, next, v.Len)
	}
	return nil
}

// add appends a region, merged with the last where nothing tells them apart.
func (l *Ledger) add(g Region) {
	if n := len(l.Regions); n > 0 {
		last := &l.Regions[n-1]
		if last.Class == g.Class && last.Owner == g.Owner && last.End() == g.Off {
			last.Len += g.Len
			return
		}
	}
	if n := len(l.Regions); n == cap(l.Regions) && n < doubled {
		l.Regions = slices.Grow(l.Regions, max(n, 1024))
	}
	l.Regions = append(l.Regions, g)
}

// doubled is the number of regions up to which their list doubles when it is
// full: it is copied less often than the runtime would, and is not yet large.
const doubled = 1 << 19

// At returns the region that holds the byte at off. ok is false beyond the
// image.
func (l *Ledger) At(off int64) (g Region, ok bool) {
	if off < 0 || off >= l.Size {
		return Region{}, false
	}
	i := sort.Search(len(l.Regions), func(i int) bool { return l.Regions[i].End() > off })
	return l.Regions[i], true
}

// Total is what a ledger holds of one class.
type Total struct {
	Class   Class `json:"class"`
	Regions int   `json:"regions"`
	Bytes   int64 `json:"bytes"`
	// NonZero is how many of the bytes are other than zero.
	NonZero int64 `json:"nonZero"`
}

// Summary counts the ledger of r by class, all classes in their order. It
// reads the data of the image once; holes cost nothing.
func (l *Ledger) Summary(ctx context.Context, r disk.Reader) ([]Total, error) {
	totals := make([]Total, Gap+1)
	for c := range totals {
		totals[c].Class = Class(c)
	}
	s := newScanner(r)
	for _, g := range l.Regions {
		n, err := s.nonZero(ctx, g.Extent, nil)
		if err != nil {
			return nil, err
		}
		t := &totals[g.Class]
		t.Regions++
		t.Bytes += g.Len
		t.NonZero += n
	}
	return totals, nil
}
