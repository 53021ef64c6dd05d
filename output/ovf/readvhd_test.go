package ovf_test

import (
	"errors"
	"os"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/disk/vhd"
	"github.com/imgbuild/imgbuild/disk/vhdx"
	"github.com/imgbuild/imgbuild/output/ovf"
)

// TestMicrosoftDisks opens packages whose disks are VHD, as XenServer and
// Virtual PC make them, or VHDX: as loose files and in an archive. The end of
// a disk in an archive is not that of the file.
func TestMicrosoftDisks(t *testing.T) {
	for name, create := range map[string]func(f *os.File, size int64) (disk.Sink, error){
		"dynamic.vhd": func(f *os.File, size int64) (disk.Sink, error) { return vhd.Create(f, size, vhd.Options{}) },
		"fixed.vhd": func(f *os.File, size int64) (disk.Sink, error) {
			return vhd.Create(f, size, vhd.Options{Type: vhd.Fixed})
		},
		"disk.vhdx": func(f *os.File, size int64) (disk.Sink, error) { return vhdx.Create(f, size, vhdx.Options{}) },
	} {
		m, path := made(t, ovf.OVF{}, "hello-jvm.ovf")
		f, err := os.Create(m.Dir.Path(name))
		if err != nil {
			t.Fatal(err)
		}
		sink, err := create(f, m.Disk.Size())
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(disk.Copy(t.Context(), m.Disk, nil, sink), sink.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
		edit(t, path, replace("hello-jvm-disk1.vmdk", name))
		archive := m.Dir.Path("a.ova")
		disktest.Run(t, disktest.Program(t, "tar", "tar"), "--format=ustar", "-C", m.Dir.Path(""), "-cf", archive, "hello-jvm.ovf", name)
		for _, path := range []string{path, archive} {
			p := open(t, path)
			d, format, err := p.OpenDisk(t.Context(), p.Disks[0])
			if err != nil {
				t.Fatalf("%s in %s: %v", name, path, err)
			}
			if want := map[bool]string{true: "vhdx", false: "vhd"}[name == "disk.vhdx"]; format != want {
				t.Errorf("%s was taken for %s", name, format)
			}
			disktest.TestReader(t, d, m.Disk)
		}
	}
}
