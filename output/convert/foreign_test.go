package convert_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
)

// odd is a disk whose size is a multiple of nothing but a sector.
func odd(t *testing.T) string {
	t.Helper()
	d := disk.NewMemory(3<<20 + 5*disk.SectorSize)
	for off := int64(0); off < d.Size(); off += 700_000 {
		if _, err := d.WriteAt([]byte(strings.Repeat("some bytes ", 50)), min(off, d.Size()-550)); err != nil {
			t.Fatal(err)
		}
	}
	return disktest.RawFile(t, d)
}

// TestForeign converts what qemu-img writes in all its ways, and lets it compare.
func TestForeign(t *testing.T) {
	qemu := disktest.Program(t, "qemu-img", "qemu-utils")
	for _, raw := range []string{odd(t), disktest.RawFile(t, disktest.Named(t, "mixed"))} {
		for kind, options := range map[string][]string{
			"vmdk":  {"subformat=monolithicSparse", "subformat=monolithicFlat", "subformat=twoGbMaxExtentSparse", "subformat=twoGbMaxExtentFlat", "subformat=streamOptimized"},
			"vpc":   {"subformat=dynamic", "subformat=dynamic,force_size=on", "subformat=fixed", "subformat=fixed,force_size=on"},
			"vhdx":  {"subformat=dynamic", "subformat=fixed", "block_size=1M"},
			"qcow2": {"compat=0.10", "cluster_size=512", "cluster_size=2M", "compression_type=zstd", "extended_l2=on", "lazy_refcounts=on", "refcount_bits=1"},
		} {
			for i, option := range options {
				if testing.Short() && i > 0 {
					continue
				}
				t.Run(kind+" "+option, func(t *testing.T) {
					dir := t.TempDir()
					in, out := filepath.Join(dir, "in."+kind), filepath.Join(dir, "out.qcow2")
					disktest.Run(t, qemu, "convert", "-f", "raw", "-O", kind, "-o", option, raw, in)
					run(t, in, out)
					disktest.Run(t, qemu, "compare", "-f", kind, "-F", "qcow2", in, out)
					disktest.Run(t, qemu, "compare", "-f", "raw", "-F", "qcow2", raw, out)
				})
			}
		}
	}
}
