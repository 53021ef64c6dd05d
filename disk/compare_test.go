package disk_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
)

// TestCompare changes a byte at a time of a copy: in data, between, before and
// after it, and beyond the end of the shorter.
func TestCompare(t *testing.T) {
	image := func(size int64, at ...int64) *disk.Memory {
		m := disk.NewMemory(size)
		for _, off := range append([]int64{mib, mib + 5, 4*mib + 4095}, at...) {
			if _, err := m.WriteAt([]byte{1}, off); err != nil {
				t.Fatal(err)
			}
		}
		return m
	}
	a := image(8 * mib)
	for _, same := range []disk.Reader{a, image(8 * mib), image(9*mib + 512), image(6 * mib)} {
		if err := disk.Compare(t.Context(), a, same); err != nil {
			t.Errorf("%d bytes: %v", same.Size(), err)
		}
	}
	for off, place := range map[int64]string{
		0: "at offset 0", mib + 1: "at offset 1048577", 3*mib + 7: "at offset 3145735", 8*mib - 1: "at offset 8388607", 8 * mib: "at offset 8388608",
	} {
		for _, pair := range [][2]disk.Reader{{a, image(9*mib, off)}, {image(9*mib, off), a}} {
			err := disk.Compare(t.Context(), pair[0], pair[1])
			if !errors.Is(err, disk.ErrDiffers) || !strings.Contains(err.Error(), place) {
				t.Errorf("%s: %v", place, err)
			}
		}
	}
}

// TestCompareFirst changes bytes in several of the pieces that processors
// compare side by side: the first is told, each time.
func TestCompareFirst(t *testing.T) {
	image := func(at ...int64) *disk.Memory {
		m := disk.NewMemory(100 * mib)
		for off := range int64(100) {
			at = append(at, off*mib)
		}
		for _, off := range at {
			if _, err := m.WriteAt([]byte{1}, off); err != nil {
				t.Fatal(err)
			}
		}
		return m
	}
	a, b := image(), image(31*mib+9, 32*mib+9, 64*mib+9, 99*mib+9)
	for range 50 {
		if err := disk.Compare(t.Context(), a, b); !errors.Is(err, disk.ErrDiffers) || !strings.Contains(err.Error(), "at offset 32505865") {
			t.Fatal(err)
		}
	}
	if err := disk.Compare(t.Context(), a, image()); err != nil {
		t.Error(err)
	}
}
