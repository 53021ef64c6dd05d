package layer_test

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/disk/internal/layer"
)

// plan is a layer of equal blocks.
type plan struct {
	size, block int64
	kinds       []layer.Kind
	data        *disk.Memory
}

func (p plan) Size() int64 { return p.size }

func (p plan) Find(off int64) (layer.Kind, int64, error) {
	return p.kinds[off/p.block], p.block - off%p.block, nil
}

func (p plan) ReadData(b []byte, off int64) error {
	for i := range b {
		if p.kinds[(off+int64(i))/p.block] != layer.Data {
			return errors.New("asked for what is no data")
		}
	}
	_, err := p.data.ReadAt(b, off)
	return err
}

// TestReader compares stacks of random layers with plain bytes.
func TestReader(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.Int64Range(1, 200_000).Draw(rt, "size")
		p := plan{size: size, block: rapid.Int64Range(100, 20_000).Draw(rt, "block"), data: disk.NewMemory(size)}
		var below disk.Reader
		want, base := disk.NewMemory(size), disk.NewMemory(rapid.Int64Range(0, 250_000).Draw(rt, "below"))
		if rapid.Bool().Draw(rt, "has a disk below") {
			below = base
			fill(rt, base, 7)
		}
		fill(rt, p.data, 9)
		for off := int64(0); off < size; off += p.block {
			kind := layer.Kind(rapid.IntRange(0, 2).Draw(rt, "kind"))
			p.kinds = append(p.kinds, kind)
			b := make([]byte, min(p.block, size-off))
			switch {
			case kind == layer.Data:
				p.data.ReadAt(b, off)
			case kind == layer.Absent && below != nil:
				base.ReadAt(b, off)
			}
			if _, err := want.WriteAt(b, off); err != nil {
				rt.Fatal(err)
			}
		}
		disktest.TestReader(t, layer.Reader("test", p, below), want)
	})
}

func fill(t *rapid.T, d *disk.Memory, b byte) {
	for range 3 {
		if d.Size() == 0 {
			return
		}
		off := rapid.Int64Range(0, d.Size()-1).Draw(t, "data")
		if _, err := d.WriteAt(bytes.Repeat([]byte{b}, int(min(10_000, d.Size()-off))), off); err != nil {
			t.Fatal(err)
		}
	}
}

// stuck is a layer whose map does not go on.
type stuck struct{ plan }

func (stuck) Find(int64) (layer.Kind, int64, error) { return layer.Absent, 0, nil }

func TestStuck(t *testing.T) {
	r := layer.Reader("test", stuck{plan{size: 100}}, nil)
	if _, err := r.NextData(0); err == nil {
		t.Error("NextData: no error")
	}
	if _, err := r.ReadAt(make([]byte, 1), 0); err == nil {
		t.Error("ReadAt: no error")
	}
}
