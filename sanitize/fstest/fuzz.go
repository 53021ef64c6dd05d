package fstest

import (
	"context"
	"encoding/binary"
	"os"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// edit is the length of one change, in the form in which a fuzzer writes them:
// a sector that holds anything, a byte of it, up to four bytes to put there,
// and how many.
const edit = 9

// Fuzz damages images and reads them: each outcome must be an error or a
// ledger that tiles. A fuzzer cannot make an image from nothing, so it changes
// sectors that are in use of one of those given.
func Fuzz(f *testing.F, d sanitize.Driver, images ...string) {
	var bases []base
	for _, path := range images {
		bases = append(bases, newBase(f, path))
	}
	for n := range 64 {
		f.Add(uint8(n), []byte{byte(n * 7), 0, byte(n * 31), byte(n & 1), 0xff, byte(n), 0, 1, byte(n)})
	}
	f.Fuzz(func(t *testing.T, which uint8, changes []byte) {
		image := bases[int(which)%len(bases)].edited(t, changes)
		ctx := context.Background()
		fsys, err := d.Open(ctx, image)
		if err != nil {
			return
		}
		if err := tiles(t, fsys, image.Size()); err != nil {
			return
		}
		if w, ok := fsys.(sanitize.Walker); ok {
			_ = w.Walk(ctx, peek)
		}
		if r, ok := fsys.(sanitize.Rememberer); ok {
			_ = r.Remnants(ctx, func(m sanitize.Remnant) error { return inside(t, m, image.Size()) })
		}
		if r, ok := fsys.(sanitize.Resealer); ok {
			_ = r.Reseal(ctx, image)
		}
	})
}

// inside fails the test when a name stands where no byte is.
func inside(t *testing.T, m sanitize.Remnant, size int64) error {
	if m.Off < 0 || m.Off >= size || m.Name == "" {
		t.Fatalf("the name %q at byte %d of %d", m.Name, m.Off, size)
	}
	return nil
}

// tiles reads the regions and fails the test when they do not tile the image.
// A damaged filesystem may end them early, with an error.
func tiles(t *testing.T, fsys sanitize.Filesystem, size int64) error {
	next := int64(0)
	err := fsys.Regions(context.Background(), func(g sanitize.Region) error {
		if g.Off != next || g.Len <= 0 || g.Len > size-next {
			t.Fatalf("region %+v where byte %d of %d was due", g, next, size)
		}
		next = g.End()
		return nil
	})
	if err == nil && next != size {
		t.Fatalf("regions end at byte %d of %d", next, size)
	}
	return err
}

// peek reads the end of a file.
func peek(file sanitize.File) error {
	if file.Open == nil {
		return nil
	}
	c, err := file.Open()
	if err != nil {
		return err
	}
	_, _ = c.ReadAt(make([]byte, 4096), max(file.Size-4096, 0))
	return nil
}

// base is an image in memory.
type base struct {
	disk.Reader
	sectors []int64 // that hold anything
}

func newBase(f *testing.F, path string) base {
	raw, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	m := disk.NewMemory(int64(len(raw)))
	b := base{Reader: m}
	zero := string(make([]byte, disk.SectorSize))
	for off := 0; off+disk.SectorSize <= len(raw); off += disk.SectorSize {
		if p := raw[off : off+disk.SectorSize]; string(p) != zero {
			if _, err := m.WriteAt(p, int64(off)); err != nil {
				f.Fatal(err)
			}
			b.sectors = append(b.sectors, int64(off/disk.SectorSize))
		}
	}
	return b
}

// edited returns the image with changes made.
func (b base) edited(t *testing.T, changes []byte) *disk.Overlay {
	o := disk.NewOverlay(b)
	for ; len(changes) >= edit; changes = changes[edit:] {
		sector := b.sectors[int(binary.LittleEndian.Uint16(changes))%len(b.sectors)]
		in := int64(binary.LittleEndian.Uint16(changes[2:])) % (disk.SectorSize - 4)
		if _, err := o.WriteAt(changes[4:5+changes[8]%4], sector*disk.SectorSize+in); err != nil {
			t.Fatal(err)
		}
	}
	return o
}
