package lvm

import (
	"context"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// FuzzMetadata describes a physical volume by hostile text: it ends, and what
// it claims tiles the volume or is an error.
func FuzzMetadata(f *testing.F) {
	f.Add([]byte(`vg0 { id = "a" extent_size = 8 physical_volumes { pv0 { id = "uuid" pe_start = 64 pe_count = 20 } }
logical_volumes { root { status = ["READ", "VISIBLE"] segment_count = 1
segment1 { start_extent = 0 extent_count = 4 type = "striped" stripe_count = 2 stripe_size = 8 stripes = [ "pv0", 0, "pv0", 9 ] } } } }
contents = "Text Format Volume Group" # comment`))
	f.Add([]byte(`vg { logical_volumes { a { segment1 { type = "thin" origin = "b" } } } }`))
	f.Fuzz(func(t *testing.T, text []byte) {
		root, err := parseText(text)
		if err != nil {
			return
		}
		r := disk.NewMemory(1 << 20)
		p := &physical{r: r, uuid: "uuid", text: text, mdas: []disk.Extent{{Off: 4096, Len: 8192}}}
		if p.describe(root) != nil {
			return
		}
		for i := range p.volumes {
			if v := &p.volumes[i]; v.opaque == "" {
				if err := v.open(context.Background(), r, nil); err != nil {
					t.Fatal(err)
				}
			}
		}
		var end int64
		err = p.Regions(context.Background(), func(g sanitize.Region) error {
			if g.Off != end || g.Len <= 0 {
				t.Fatalf("a region at %s behind byte %d", g.Extent, end)
			}
			end = g.End()
			return nil
		})
		if err == nil && end != r.Size() {
			t.Fatalf("regions end at byte %d", end)
		}
	})
}
