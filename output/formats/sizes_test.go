package formats_test

import (
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/formats"
)

// TestLarge writes a disk of 2 TiB with 70 KiB of data: what a format makes is
// bounded by the data, or it says that it cannot. Formats whose files are as
// long as the disk are left out, for their digests read all of it. The other
// sizes are each format's own: see outputtest.
func TestLarge(t *testing.T) {
	a, d := appliance(t), disktest.Named(t, "2 TiB")
	const mib = 1 << 20
	for name, c := range map[string]struct {
		most    int64  // bytes
		refused string // part of the error
	}{
		"kubevirt": {most: 2 * mib}, "libvirt": {most: 2 * mib}, "openstack": {most: 2 * mib}, "proxmox": {most: 2 * mib},
		"qcow2": {most: 2 * mib}, "vagrant": {most: 2 * mib},
		"ova": {most: mib}, "ovf": {most: mib}, "vmdk": {most: mib},
		"vhd":  {refused: "2040 GiB"},
		"xva":  {most: 8 * mib},   // chunks of a MiB, the first and the last among them
		"vhdx": {most: 256 * mib}, // blocks of 32 MiB, and their table
	} {
		t.Run(name, func(t *testing.T) {
			s, err := formats.Select(name, nil)
			if err != nil {
				t.Fatal(err)
			}
			files, err := output.Write(t.Context(), a, d, openDir(t, t.TempDir()), []output.Selected{s}, nil)
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) || fault.KindOf(err) == fault.Environment {
					t.Errorf("%d files and the error %v", len(files), err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var sum int64
			for _, f := range files {
				sum += f.Size
			}
			if sum > c.most {
				t.Errorf("%d bytes, more than %d", sum, c.most)
			}
		})
	}
}
