package sanitize

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/imgbuild/imgbuild/disk"
)

// Tile emits pieces, given in any order, as regions that tile [from, to). It
// calls rest for each extent that no piece covers; rest emits what is there.
// Two pieces that claim the same byte are an error that names both owners:
// such a filesystem is damaged. The slice is sorted in place.
func Tile(pieces []Region, from, to int64, emit func(Region) error, rest func(disk.Extent) error) error {
	sortRegions(pieces)
	next, owner := from, "the start of the area"
	for _, p := range pieces {
		switch {
		case p.Len == 0:
			continue
		case p.Len < 0 || p.Off < from || p.Len > to-p.Off:
			return fmt.Errorf("%s claims %d bytes at byte %d outside of [%d, %d)", p.Owner, p.Len, p.Off, from, to)
		case p.Off < next:
			return fmt.Errorf("%s and %s both claim byte %d", owner, p.Owner, p.Off)
		case p.Off > next:
			if err := rest(disk.Extent{Off: next, Len: p.Off - next}); err != nil {
				return err
			}
		}
		if err := emit(p); err != nil {
			return err
		}
		next, owner = p.End(), p.Owner
	}
	if next < to {
		return rest(disk.Extent{Off: next, Len: to - next})
	}
	return nil
}

// sortRegions sorts by place. The keys are sorted, for they are smaller, and the
// pieces then moved to their places without a second list: there may be millions.
func sortRegions(pieces []Region) {
	type key struct {
		off   int64
		index int
	}
	keys := make([]key, len(pieces))
	for i, p := range pieces {
		keys[i] = key{p.Off, i}
	}
	slices.SortFunc(keys, func(a, b key) int {
		switch {
		case a.off < b.off:
			return -1
		case a.off > b.off:
			return 1
		}
		return cmp.Compare(pieces[a.index].Len, pieces[b.index].Len)
	})
	for start := range keys { // each cycle of moves once
		first, at := pieces[start], start
		for keys[at].index != start {
			from := keys[at].index
			pieces[at], keys[at].index = pieces[from], at
			at = from
		}
		pieces[at], keys[at].index = first, at
	}
}

// Fill returns a rest function for [Tile] that emits one class and owner.
func Fill(class Class, owner string, emit func(Region) error) func(disk.Extent) error {
	return func(e disk.Extent) error { return emit(Region{e, class, owner}) }
}
