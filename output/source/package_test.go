package source_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/ovf"
	"github.com/imgbuild/imgbuild/output/source"
)

// vmcfg is what an Oracle VM Manager leaves beside the disks of a template.
const vmcfg = `vif = ['type=netfront,mac=00:21:f6:01:02:03,bridge=10a1b2c3', 'model=e1000,bridge=0']
OVM_simple_name = 'OL7'
disk = ['file:/OVS/Repositories/0004/VirtualDisks/System.img,xvda,w', 'file:/OVS/cd.iso,xvdb:cdrom,r', 'file:gone.img,xvdc,w']
OVM_domain_type = 'xen_hvm_pv_drivers'
memory = 2048
vcpus = 4
name = '0004fb0000060000cfe2da48f9e2120e'
`

// template makes a folder of a template's files, and lets GNU tar pack them.
func template(t *testing.T, config string, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	folder := filepath.Join(dir, "OL7")
	raw := write(t, "raw")
	err := os.Mkdir(folder, 0o755)
	if err == nil {
		err = os.Link(raw.Dir.Path("hello-jvm.raw"), filepath.Join(folder, "System.img"))
	}
	for name, text := range map[string]string{"vm.cfg": config, "spare.img": strings.Repeat("s", 512), "README": "read me"} {
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "template")
	disktest.Run(t, disktest.Program(t, "tar", "tar"), append(append([]string{"-C", dir}, flags...), path, "OL7")...)
	return path
}

// TestTemplates reads templates of Oracle VM as people pack them.
func TestTemplates(t *testing.T) {
	want := ovf.Machine{
		ID: "0004fb0000060000cfe2da48f9e2120e", Name: "OL7", System: "xen_hvm_pv_drivers", CPUs: 4, Memory: 2 << 30,
		Disks: []string{"xvda", "xvdc"}, Adapters: []ovf.Adapter{{Model: "netfront", Network: "10a1b2c3"}, {Model: "e1000", Network: "0"}},
	}
	raw := write(t, "raw")
	for name, flags := range map[string][]string{
		"plain": {"-cf"}, "gzip": {"-czf"}, "sparse": {"--format=oldgnu", "-Sczf"}, "posix": {"--format=posix", "-Scf"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, template(t, vmcfg, flags...))
			if s.Format != "ovm" || s.Package.Descriptor != "OL7/vm.cfg" || !slices.Equal(s.Beside, []string{"OL7/README"}) {
				t.Errorf("%q, %q, beside %q", s.Format, s.Package.Descriptor, s.Beside)
			}
			if diff := cmp.Diff([]ovf.Machine{want}, s.Package.Machines); diff != "" {
				t.Error(diff)
			}
			if notes := strings.Join(s.Package.Notes, "\n"); !strings.Contains(notes, "gone.img is not in the archive") || !strings.Contains(notes, "no machine has the disk OL7/spare.img") {
				t.Errorf("the notes are %q", notes)
			}
			if v, err := s.Package.Verify(t.Context()); err != nil || v.State != ovf.NoManifest {
				t.Errorf("%+v, %v", v, err)
			}
			d, err := s.One("xvda")
			if err != nil || d.Name != "OL7/System.img" {
				t.Fatalf("%+v, %v", d, err)
			}
			r, format, err := d.Open()
			if err != nil || format != "raw" {
				t.Fatalf("%q, %v", format, err)
			}
			if err := disktest.Diff(r, raw.Disk); err != nil {
				t.Error(err)
			}
		})
	}
	_, err := source.Open(t.Context(), template(t, "import os\n", "-czf"))
	if fault.KindOf(err) != fault.Input || !strings.Contains(err.Error(), "reading vm.cfg") {
		t.Errorf("%v", err)
	}
}

// TestCompressedExport reads an export as `xe vm-export compress=zstd` leaves it,
// and one that was damaged.
func TestCompressedExport(t *testing.T) {
	m := write(t, "xva")
	path := m.Dir.Path("hello-jvm.xva")
	disktest.Run(t, disktest.Program(t, "zstd", "zstd"), "-q", path)
	s := open(t, path+".zst")
	if s.Format != "xva.zst" || s.Package.Machines[0].CPUs != 2 {
		t.Errorf("%q, %+v", s.Format, s.Package)
	}
	if v, err := s.Package.Verify(t.Context()); err != nil || v.State != ovf.Valid || v.Algorithm != "SHA1" {
		t.Errorf("%+v, %v", v, err)
	}
	holds(t, s, m.Disk)
	if err := os.Truncate(path, 2<<20); err != nil {
		t.Fatal(err)
	}
	if _, err := source.Open(t.Context(), path); fault.KindOf(err) != fault.Input {
		t.Errorf("%v", err)
	}
}
