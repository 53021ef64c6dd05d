package clusters_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/internal/clusters"
)

// TestRun compares runs with single bits.
func TestRun(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Long runs and short ones, across pages.
		var b []byte
		for _, n := range rapid.SliceOfN(rapid.IntRange(0, 3000), 1, 8).Draw(t, "runs") {
			b = append(b, bytes.Repeat([]byte{rapid.SampledFrom([]byte{0, 0xff, 0x10, 0xef}).Draw(t, "byte")}, n+1)...)
		}
		m, size := clusters.NewBitmap(bytes.NewReader(b), int64(len(b))), int64(len(b))*8
		bit := func(i int64) bool { return b[i/8]>>(i%8)&1 == 1 }
		from := rapid.Int64Range(0, size-1).Draw(t, "from")
		to := rapid.Int64Range(from+1, size).Draw(t, "to")
		set, end, err := m.Run(from, to)
		if err != nil {
			t.Fatal(err)
		}
		want := from + 1
		for want < to && bit(want) == bit(from) {
			want++
		}
		if set != bit(from) || end != want {
			t.Fatalf("run of %v to %d where %v to %d is right", set, end, bit(from), want)
		}
	})
}

// TestBounds asks for bits that a bitmap does not have.
func TestBounds(t *testing.T) {
	m := clusters.NewBitmap(bytes.NewReader(make([]byte, 5)), 5)
	if _, err := m.Get(40); err == nil {
		t.Error("there is a bit behind the last one")
	}
	if _, _, err := m.Run(0, 41); err == nil {
		t.Error("a run goes beyond the last bit")
	}
	if _, err := clusters.NewBitmap(bytes.NewReader(nil), 5).Get(0); err == nil {
		t.Error("there is a bit where nothing can be read")
	}
}

func TestTile(t *testing.T) {
	heap := clusters.Heap{Off: 100, Cluster: 10, Count: 8, Bitmap: func() *clusters.Bitmap {
		return clusters.NewBitmap(strings.NewReader("\x1d"), 1) // clusters 0, 2, 3 and 4
	}}
	region := func(off, n int64, c sanitize.Class, owner string) sanitize.Region {
		return sanitize.Region{Extent: disk.Extent{Off: off, Len: n}, Class: c, Owner: owner}
	}
	tile := func(pieces ...sanitize.Region) (got []sanitize.Region, err error) {
		err = heap.Tile(context.Background(), pieces, func(g sanitize.Region) error {
			got = append(got, g)
			return nil
		})
		return got, err
	}
	got, err := tile(region(124, 6, sanitize.Slack, "b"), region(120, 4, sanitize.Live, "b"), region(100, 10, sanitize.Live, "a"))
	if err != nil {
		t.Fatal(err)
	}
	want := []sanitize.Region{
		region(100, 10, sanitize.Live, "a"),
		region(110, 10, sanitize.Free, "free clusters"),
		region(120, 4, sanitize.Live, "b"),
		region(124, 6, sanitize.Slack, "b"),
		region(130, 20, sanitize.Unknown, "allocated clusters without an owner"),
		region(150, 30, sanitize.Free, "free clusters"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("regions (-want +got):\n%s", diff)
	}
	for _, bad := range []sanitize.Region{
		region(140, 20, sanitize.Live, "in a free cluster"),
		region(120, 4, sanitize.Live, "a part of a cluster"),
		region(90, 20, sanitize.Live, "ahead of the heap"),
	} {
		if _, err := tile(bad); err == nil {
			t.Errorf("a heap has a piece %s", bad.Owner)
		}
	}
}
