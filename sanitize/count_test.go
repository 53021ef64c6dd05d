package sanitize

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk"
)

// sample is a disk with runs of data and holes, and regions that tile it.
func sample(t testing.TB, r *rand.Rand, size int64) (*disk.Memory, []Region) {
	t.Helper()
	d := disk.NewMemory(size)
	for range size / 40_000 {
		off := r.Int64N(size - 9000)
		if _, err := d.WriteAt(bytes.Repeat([]byte{0, 1, 2}, 1+r.IntN(3000)), off); err != nil {
			t.Fatal(err)
		}
	}
	var regions []Region
	for off := int64(0); off < size; {
		n := min(1+r.Int64N([]int64{60, 5000, 90_000}[r.IntN(3)]), size-off)
		regions = append(regions, Region{Extent: disk.Extent{Off: off, Len: n}, Class: Class(r.IntN(int(Gap) + 1))})
		off += n
	}
	return d, regions
}

// TestCount holds counting to a look at every byte, with and without extents
// that are not read.
func TestCount(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		d, regions := sample(t, r, 3<<20)
		all := make([]byte, d.Size())
		if err := ReadFull(d, all, 0); err != nil {
			t.Fatal(err)
		}
		stored := make([]byte, d.Size())
		for e, err := range disk.DataExtents(d) {
			if err != nil {
				t.Fatal(err)
			}
			copy(stored[e.Off:e.End()], bytes.Repeat([]byte{1}, int(e.Len)))
		}
		var unread []disk.Extent
		for off := r.Int64N(50_000); seed%2 == 1 && off < d.Size()-60_000; off += 60_000 + r.Int64N(200_000) {
			e := disk.Extent{Off: off &^ 4095, Len: 4096 * (1 + r.Int64N(12))}
			copy(all[e.Off:e.End()], stored[e.Off:])
			unread = append(unread, e)
		}
		want, got := make([]int64, len(regions)), make([]int64, len(regions))
		for i, g := range regions {
			if g.Class.Dead() {
				want[i] = nonZero(all[g.Off:g.End()])
			}
		}
		err := count(t.Context(), d, regions, func(g Region) bool { return g.Class.Dead() }, unread, func(i int, x tally) {
			got[i] = x.nonZero
			if x.data < x.nonZero || x.nonZero < x.unread {
				t.Errorf("region %d: %+v", i, x)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
		}
	}
}

func BenchmarkCount(b *testing.B) {
	d, regions := sample(b, rand.New(rand.NewPCG(1, 1)), 256<<20)
	b.SetBytes(d.Size())
	for b.Loop() {
		if err := count(b.Context(), d, regions, func(Region) bool { return true }, nil, func(int, tally) {}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTile(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	_, regions := sample(b, r, 1<<30)
	r.Shuffle(len(regions), func(i, j int) { regions[i], regions[j] = regions[j], regions[i] })
	pieces := make([]Region, len(regions))
	for b.Loop() {
		copy(pieces, regions)
		if err := Tile(pieces, 0, 1<<30, func(Region) error { return nil }, nil); err != nil {
			b.Fatal(err)
		}
	}
}
