package stages

import (
	"errors"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/formats"
	"github.com/imgbuild/imgbuild/output/outputtest"
)

// TestReadBack writes every format with a disk in it. One that was audited
// passes; when another was, one file of the format tells the difference, which
// is of one byte, whatever is around the disk.
func TestReadBack(t *testing.T) {
	audited := func(b byte) disk.Reader {
		m := disk.NewMemory(4 << 20)
		if _, err := m.WriteAt([]byte{1, b}, 3<<20-1); err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, format := range []string{
		"azure", "gcp", "kubevirt", "libvirt", "openstack", "ova", "ovf", "ovm", "proxmox", "qcow2", "raw", "vagrant", "vhd", "vhdx", "vmdk", "xen", "xva",
	} {
		s, err := formats.Select(format, nil)
		if err != nil {
			t.Fatal(err)
		}
		dir, err := output.OpenDir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		differ := 0
		files, err := output.Write(t.Context(), outputtest.Appliance(), audited(0), dir.Checked(func(path, format string) error {
			if err := readBack(t.Context(), audited(1), nil, path); errors.Is(err, disk.ErrDiffers) {
				differ++
			} else if err != nil {
				t.Errorf("%s: %v", format, err)
			}
			return readBack(t.Context(), audited(0), nil, path)
		}), []output.Selected{s}, nil)
		if err != nil || len(files) == 0 {
			t.Errorf("%s: %d files: %v", format, len(files), err)
		}
		if differ != 1 {
			t.Errorf("%s: %d files tell of another byte", format, differ)
		}
	}
}

// TestReadBackFurther has a second, blank disk, in the formats that describe one.
func TestReadBackFurther(t *testing.T) {
	audited := disk.NewMemory(4 << 20)
	if _, err := audited.WriteAt([]byte{1}, 3<<20); err != nil {
		t.Fatal(err)
	}
	further := []disk.Reader{disk.NewMemory(16 << 20)}
	appliance := outputtest.Appliance()
	appliance.Disks = further
	for _, format := range []string{"ova", "ovf", "ovm", "xva"} {
		s, err := formats.Select(format, nil)
		if err != nil {
			t.Fatal(err)
		}
		dir, err := output.OpenDir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		judged := 0
		_, err = output.Write(t.Context(), appliance, audited, dir.Checked(func(path, _ string) error {
			judged++
			if readBack(t.Context(), audited, nil, path) == nil {
				t.Errorf("%s: a disk that is not expected passes", format)
			}
			return readBack(t.Context(), audited, further, path)
		}), []output.Selected{s}, nil)
		if err != nil || judged != 1 {
			t.Errorf("%s: %d files judged: %v", format, judged, err)
		}
	}
}
