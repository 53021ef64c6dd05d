package iso9660

import (
	"context"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// FuzzRegions reads hostile images: what is accepted tiles the image.
func FuzzRegions(f *testing.F) {
	seed := make([]byte, 20*sector)
	for i, kind := range []byte{kindPrimary, kindEnd} {
		b := seed[(systemArea+i)*sector:]
		b[0] = kind
		copy(b[1:], magic)
	}
	b := seed[systemArea*sector:]
	b[offSectors], b[offBlockSize+1] = 20, sector>>8
	b[offRoot], b[offRoot+recPlace], b[offRoot+recSize+1], b[offRoot+recFlags], b[offRoot+recName-1] = rootLen, 18, sector>>8, flagDir, 1
	f.Add(seed)
	f.Fuzz(func(t *testing.T, image []byte) {
		if len(image) > 64*sector {
			return
		}
		r := disk.NewMemory(int64(len(image)))
		if _, err := r.WriteAt(image, 0); err != nil {
			t.Fatal(err)
		}
		fsys, err := Driver{}.Open(context.Background(), r)
		if err != nil {
			return
		}
		var end int64
		err = fsys.Regions(context.Background(), func(g sanitize.Region) error {
			if g.Off != end || g.Len <= 0 {
				t.Fatalf("a region at %s behind byte %d", g.Extent, end)
			}
			end = g.End()
			return nil
		})
		if err == nil && end != r.Size() {
			t.Fatalf("regions end at byte %d of %d", end, r.Size())
		}
	})
}
