package ovf_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vmware/govmomi/ovf/importer"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/ovf"
)

// several is the rich appliance with n disks more, none of them empty.
func several(n int) output.Appliance {
	a := rich()
	for len(a.Disks) < n {
		for _, s := range disktest.Samples() {
			if s.Disk.Size() > 1<<20 && len(a.Disks) < n {
				a.Disks = append(a.Disks, s.Disk)
			}
		}
	}
	return a
}

// TestSeveralDisks writes packages with three disks for all profiles: the judges
// find all of them, and read back they are as they were.
func TestSeveralDisks(t *testing.T) {
	for hypervisor, bus := range map[string]string{"vmware": "scsi", "virtualbox": "sata", "xenserver": "ide", "ovm": "ide", "generic": "sata"} {
		for _, f := range []output.Format{ovf.OVA{}, ovf.OVF{}} {
			t.Run(hypervisor+" "+f.Name(), func(t *testing.T) {
				m := outputtest.Write(t, outputtest.Format{Format: f, Appliance: several(2), Options: fmt.Sprintf(`{"hypervisor":%q}`, hypervisor)}, "1 MiB")
				path := m.Dir.Path("hello-jvm." + f.Name())
				checkDisks(t, open(t, path), append([]disk.Reader{m.Disk}, m.Appliance.Disks...))
				if f.Name() == "ovf" {
					checkSchema(t, path)
					return
				}
				dir := t.TempDir()
				disktest.Run(t, disktest.Program(t, "tar", "tar"), "-C", dir, "-xf", path)
				checkSchema(t, filepath.Join(dir, "hello-jvm.ovf"))
				out, err := virtV2V(t, path)
				if err != nil || !strings.Contains(out, "2 ["+bus+"]") || !strings.Contains(out, "CD-ROM [") {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
}

// checkDisks compares the disks of a package, and verifies its manifest.
func checkDisks(t *testing.T, p *ovf.Package, want []disk.Reader) {
	t.Helper()
	if len(p.Notes) > 0 || len(p.Disks) != len(want) || len(p.Machines[0].Disks) != len(want) {
		t.Fatalf("%d disks, %d of the machine, want %d; notes %q", len(p.Disks), len(p.Machines[0].Disks), len(want), p.Notes)
	}
	for i, d := range p.Disks {
		got, _, err := p.OpenDisk(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		if err := disktest.Diff(disk.Section(got, 0, want[i].Size()), want[i]); err != nil {
			t.Errorf("disk %s: %v", d.ID, err)
		}
	}
	if v, err := p.Verify(t.Context()); err != nil || v.State != ovf.Valid {
		t.Errorf("%+v, %v", v, err)
	}
}

// TestVCenterSeveralDisks gives a machine with four disks to VMware.
func TestVCenterSeveralDisks(t *testing.T) {
	made := outputtest.Write(t, outputtest.Format{Format: ovf.OVA{}, Appliance: several(3)}, "1 MiB")
	m, err := vCenter(t, made.Dir.Path("hello-jvm.ova"), importer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var kib []int64
	for _, d := range m.devices.SelectByType((*types.VirtualDisk)(nil)) {
		kib = append(kib, d.(*types.VirtualDisk).CapacityInKB)
	}
	if len(kib) != 4 || kib[0] != 1024 {
		t.Errorf("the disks have %d KiB", kib)
	}
}

// TestTooManyDisks refuses what the controllers do not take, before a file is
// there.
func TestTooManyDisks(t *testing.T) {
	for hypervisor, most := range map[string]int{"vmware": 15, "virtualbox": 29, "xenserver": 3} {
		w, err := ovf.OVA{}.New(json.RawMessage(fmt.Sprintf(`{"hypervisor":%q}`, hypervisor)))
		if err != nil {
			t.Fatal(err)
		}
		for _, more := range []int{most - 1, most} {
			path := t.TempDir()
			dir, err := output.OpenDir(path)
			if err != nil {
				t.Fatal(err)
			}
			s, err := w.Begin(t.Context(), several(more), dir, 1<<20)
			if err == nil {
				s.Abort()
			}
			if (err != nil) != (more == most) || err != nil && fault.KindOf(err) != fault.Usage {
				t.Errorf("%s with %d disks: %v", hypervisor, more+1, err)
			}
			checkNothing(t, path)
		}
	}
}

func checkNothing(t *testing.T, dir string) {
	t.Helper()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

// TestBrokenFurtherDisk ends without a file when the second disk cannot be read.
func TestBrokenFurtherDisk(t *testing.T) {
	for _, f := range []output.Format{ovf.OVA{}, ovf.OVF{}} {
		w, err := f.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		path := t.TempDir()
		dir, err := output.OpenDir(path)
		if err != nil {
			t.Fatal(err)
		}
		a := several(2)
		a.Disks[0] = broken{a.Disks[0]}
		_, err = output.Write(t.Context(), a, a.Disks[1], dir, []output.Selected{{Format: f, Writer: w}}, nil)
		if !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), "disk 2") {
			t.Errorf("the error is %v", err)
		}
		checkNothing(t, path)
	}
}

// broken is a disk that cannot be read.
type broken struct{ disk.Reader }

func (broken) ReadAt([]byte, int64) (int, error) { return 0, fs.ErrInvalid }
func (b broken) NextData(off int64) (disk.Extent, error) {
	return disk.Extent{Off: off, Len: b.Size() - off}, nil
}
