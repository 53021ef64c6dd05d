package sanitize

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk"
)

// TestSortRegions sorts lists of all small sizes; no piece is lost or doubled.
func TestSortRegions(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for n := range 200 {
		pieces := make([]Region, n)
		for i := range pieces {
			pieces[i] = Region{Extent: disk.Extent{Off: r.Int64N(int64(n)), Len: r.Int64N(3)}, Owner: strconv.Itoa(i)}
		}
		want := slices.Clone(pieces)
		byOwner := func(a, b Region) int { return cmp.Compare(a.Owner, b.Owner) }
		slices.SortFunc(want, byOwner)
		sortRegions(pieces)
		if !slices.IsSortedFunc(pieces, func(a, b Region) int { return cmp.Or(cmp.Compare(a.Off, b.Off), cmp.Compare(a.Len, b.Len)) }) {
			t.Fatalf("%d pieces are not sorted: %v", n, pieces)
		}
		slices.SortFunc(pieces, byOwner)
		if diff := gocmp.Diff(want, pieces); diff != "" {
			t.Fatalf("%d pieces (-want +got):\n%s", n, diff)
		}
	}
}
