package audit

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// TestAccount shows that an account tells of every byte what the ledger does.
func TestAccount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &sanitize.Ledger{}
		for range rapid.IntRange(1, 40).Draw(t, "regions") {
			g := sanitize.Region{
				Extent: disk.Extent{Off: l.Size, Len: rapid.Int64Range(1, 9).Draw(t, "length")},
				Class:  sanitize.Class(rapid.IntRange(0, int(sanitize.Gap)).Draw(t, "class")),
				Owner:  fmt.Sprint("/", rapid.IntRange(1, 6).Draw(t, "owner")),
			}
			l.Regions = append(l.Regions, g)
			l.Size = g.End()
		}
		c := newAccount(l)
		if diff := cmp.Diff(l.Regions, slices.Collect(c.regions)); diff != "" {
			t.Fatal(diff)
		}
		for off := range l.Size {
			if want, _ := l.At(off); c.region(c.at(off)) != want {
				t.Fatalf("byte %d is of %+v, not %+v", off, c.region(c.at(off)), want)
			}
		}
		if c.at(-1) >= 0 || c.at(l.Size) >= 0 {
			t.Fatal("there are bytes beyond the image")
		}
	})
}
