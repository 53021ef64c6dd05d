package diff

import (
	"context"
	"fmt"

	"github.com/imgbuild/imgbuild/inspect"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Change says what became of something from the first image to the second.
type Change string

// The changes.
const (
	Added   Change = "added"
	Removed Change = "removed"
	Changed Change = "changed"
	Renamed Change = "renamed" // of files
)

// Volume is a partition that differs, or the one filesystem of a disk without
// a table.
type Volume struct {
	Change Change `json:"change"`
	// A is the volume in the first image, B in the second; nil where there is
	// none.
	A *inspect.Volume `json:"a,omitempty"`
	B *inspect.Volume `json:"b,omitempty"`
	// Facts are what differs of the partition and its filesystem.
	Facts []Fact `json:"facts,omitempty"`
	// Files is nil when the trees were not compared; Unread says why, when
	// that was for the filesystem.
	Files    *FileDiff    `json:"files,omitempty"`
	Packages *PackageDiff `json:"packages,omitempty"`
	Unread   string       `json:"unread,omitempty"`
}

// compareVolumes compares the partitions of two disks. equal tells the pairs
// that lie at the same place and hold the same bytes.
func (c *comparison) compareVolumes(ctx context.Context, d *Disk, pair [2]*opened, equal func(a, b inspect.Volume) bool) error {
	for _, m := range match(pair[0].volumes, pair[1].volumes) {
		v := Volume{Change: Changed, A: m[0], B: m[1]}
		switch {
		case v.A == nil:
			v.Change = Added
		case v.B == nil:
			v.Change = Removed
		default:
			if c.wants(Partitions) {
				v.Facts = volumeFacts(v.A, v.B)
			}
			if !equal(*v.A, *v.B) {
				if err := c.compareTrees(ctx, &v, pair); err != nil {
					return err
				}
			}
			if len(v.Facts) == 0 && v.Packages == nil && (v.Files == nil || v.Files.none()) && v.Unread == "" {
				continue
			}
		}
		if v.Change == Changed || c.wants(Partitions) {
			d.Volumes = append(d.Volumes, v)
		}
	}
	return nil
}

// match pairs the volumes that belong together, in the order of the second
// disk; those that the first alone has come last.
func match(a, b []inspect.Volume) [][2]*inspect.Volume {
	same := []func(a, b *inspect.Volume) bool{
		func(a, b *inspect.Volume) bool { return a.GUID != "" && a.GUID == b.GUID },
		func(a, b *inspect.Volume) bool { return a.Type == b.Type && a.Name != "" && a.Name == b.Name },
		func(a, b *inspect.Volume) bool { return a.Type == b.Type && a.Offset == b.Offset },
		func(a, b *inspect.Volume) bool { return a.Type == b.Type && a.Index == b.Index },
	}
	partner, taken := make([]int, len(b)), make([]bool, len(a))
	for i := range partner {
		partner[i] = -1
	}
	for _, same := range same {
		for i := range b {
			for j := range a {
				if partner[i] < 0 && !taken[j] && same(&a[j], &b[i]) {
					partner[i], taken[j] = j, true
				}
			}
		}
	}
	var pairs [][2]*inspect.Volume
	for i := range b {
		var first *inspect.Volume
		if partner[i] >= 0 {
			first = &a[partner[i]]
		}
		pairs = append(pairs, [2]*inspect.Volume{first, &b[i]})
	}
	for j := range a {
		if !taken[j] {
			pairs = append(pairs, [2]*inspect.Volume{&a[j], nil})
		}
	}
	return pairs
}

// volumeFacts compares two volumes.
func volumeFacts(a, b *inspect.Volume) []Fact {
	facts := compare(nil, "number", a.Index, b.Index)
	facts = compare(facts, "name", a.Name, b.Name)
	facts = compare(facts, "offset", a.Offset, b.Offset)
	facts = compare(facts, "size", a.Size, b.Size)
	facts = compare(facts, "type", a.Type, b.Type)
	facts = compare(facts, "identifier", a.GUID, b.GUID)
	facts = compare(facts, "active", a.Active, b.Active)
	facts = compare(facts, "filesystem", a.Filesystem, b.Filesystem)
	facts = compare(facts, "label", a.Label, b.Label)
	return compare(facts, "cannot be read", a.Error, b.Error)
}

// compareTrees compares the files of two volumes, if they can be walked.
func (c *comparison) compareTrees(ctx context.Context, v *Volume, pair [2]*opened) error {
	if !c.wants(Files) && !c.wants(Packages) {
		return nil
	}
	var walkers [2]sanitize.Walker
	for i, volume := range []*inspect.Volume{v.A, v.B} {
		found := pair[i].found(*volume)
		if found == nil || found.Driver == "" {
			return nil // no filesystem: its bytes tell
		}
		w, ok := found.Walker()
		if !ok {
			v.Unread = fmt.Sprintf("%s is compared by its bytes alone", found.Type)
			return nil
		}
		walkers[i] = w
	}
	t := newTree(c.Options)
	if err := t.run(ctx, walkers); err != nil {
		return fmt.Errorf("comparing the files of partition %d: %w", v.B.Index, err)
	}
	if c.wants(Packages) {
		var err error
		if v.Packages, err = t.packages.compare(ctx, c.Options); err != nil {
			return err
		}
	}
	if c.wants(Files) {
		v.Files = &t.found
	}
	return nil
}
