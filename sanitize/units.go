package sanitize

import (
	"slices"
	"sort"

	"github.com/imgbuild/imgbuild/disk"
)

// units is a set of units of a zone, by their number.
type units struct {
	zone    zone
	numbers []int64
	sorted  bool
}

// add adds the units that overlap [from, to).
func (u *units) add(from, to int64) {
	for n := (from - u.zone.Off) / u.zone.unit; from < to && u.zone.Off+n*u.zone.unit < to; n++ {
		if k := len(u.numbers); k == 0 || u.numbers[k-1] != n {
			u.numbers, u.sorted = append(u.numbers, n), false
		}
	}
}

// addAll adds the units that overlap any of the extents, which ascend.
func (u *units) addAll(extents []disk.Extent) {
	i := sort.Search(len(extents), func(i int) bool { return extents[i].End() > u.zone.Off })
	for ; i < len(extents) && extents[i].Off < u.zone.End(); i++ {
		u.add(max(extents[i].Off, u.zone.Off), min(extents[i].End(), u.zone.End()))
	}
}

// all returns the units, ascending.
func (u *units) all() []int64 {
	if !u.sorted {
		slices.Sort(u.numbers)
		u.numbers, u.sorted = slices.Compact(u.numbers), true
	}
	return u.numbers
}

// around calls fn with the parts of e that lie in none of the units.
func (u *units) around(e disk.Extent, fn func(disk.Extent) error) error {
	numbers, at := u.all(), e.Off
	first := (e.Off - u.zone.Off) / u.zone.unit
	i := sort.Search(len(numbers), func(i int) bool { return numbers[i] >= first })
	for ; at < e.End(); i++ {
		next, end := e.End(), e.End()
		if i < len(numbers) {
			next = min(u.zone.Off+numbers[i]*u.zone.unit, e.End())
			end = min(next+u.zone.unit, e.End())
		}
		if next > at {
			if err := fn(disk.Extent{Off: at, Len: next - at}); err != nil {
				return err
			}
		}
		at = end
	}
	return nil
}

// split returns the units that touch none of the extents, and those that do.
func (u *units) split(extents []disk.Extent) (without, with []int64) {
	touched := units{zone: u.zone}
	for _, e := range extents {
		touched.add(max(e.Off, u.zone.Off), min(e.End(), u.zone.End()))
	}
	numbers := touched.all()
	for _, n := range u.all() {
		if _, found := slices.BinarySearch(numbers, n); found {
			with = append(with, n)
		} else {
			without = append(without, n)
		}
	}
	return without, with
}
