package xfs_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/xfs"
)

// base is an image that a fuzzer edits: images are too large to be made from
// nothing.
type base struct {
	disk.Reader
	sectors []int64 // that hold anything
}

// edit is one change, in the form in which the fuzzer writes them: a sector
// that is in use, a byte of it, and up to four bytes to put there.
const edit = 9

// edited returns the image with the changes made.
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

// newBase reads an image into memory.
func newBase(f *testing.F, path string) base {
	raw, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	m := disk.NewMemory(int64(len(raw)))
	b := base{Reader: m}
	zero := string(make([]byte, disk.SectorSize))
	for off := 0; off < len(raw); off += disk.SectorSize {
		if p := raw[off : off+disk.SectorSize]; string(p) != zero {
			if _, err := m.WriteAt(p, int64(off)); err != nil {
				f.Fatal(err)
			}
			b.sectors = append(b.sectors, int64(off/disk.SectorSize))
		}
	}
	return b
}

// FuzzOpen reads damaged images: every outcome is an error or a ledger that
// tiles, and resealing writes nothing outside.
func FuzzOpen(f *testing.F) {
	need(f)
	dir := f.TempDir()
	var bases []base
	for i, args := range []string{"-m rmapbt=1 -n size=8192", "-m crc=0,finobt=0 -b size=1024"} {
		path := filepath.Join(dir, fmt.Sprint(i))
		mkfs(f, path, 32, args)
		if !mounted(f, path, "nouuid", func(dir string) { shell(f, dir, populate) }) {
			prototype(f, path, 32, args, sources(f, i == 0))
		}
		bases = append(bases, newBase(f, path))
	}
	for n := range 64 {
		f.Add(uint8(n), []byte{byte(n * 7), 0, byte(n * 31), byte(n & 1), 0xff, byte(n), 0, 1, byte(n)})
	}
	f.Fuzz(func(t *testing.T, which uint8, changes []byte) {
		o := bases[int(which)%len(bases)].edited(t, changes)
		ctx := context.Background()
		fsys, err := (xfs.Driver{}).Open(ctx, o)
		if err != nil {
			return
		}
		next := int64(0)
		err = fsys.Regions(ctx, func(g sanitize.Region) error {
			if g.Off != next || g.Len <= 0 {
				t.Fatalf("region %+v where byte %d was due", g, next)
			}
			next = g.End()
			return nil
		})
		if err == nil && next != o.Size() {
			t.Fatalf("regions end at byte %d of %d", next, o.Size())
		}
		_ = fsys.(sanitize.Walker).Walk(ctx, func(file sanitize.File) error {
			if file.Open == nil {
				return nil
			}
			c, err := file.Open()
			if err != nil {
				return err
			}
			_, _ = c.ReadAt(make([]byte, 4096), max(file.Size-4096, 0))
			return nil
		})
		if err == nil {
			_ = fsys.(sanitize.Resealer).Reseal(ctx, o)
		}
	})
}
