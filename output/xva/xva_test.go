package xva_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/ovf"
	"github.com/imgbuild/imgbuild/output/xva"
)

func TestFormat(t *testing.T) {
	for name, options := range map[string]string{"sha1": "", "xxhash": `{"checksum":"xxhash"}`} {
		t.Run(name, func(t *testing.T) {
			outputtest.Test(t, outputtest.Format{Format: xva.Format{}, Options: options, Files: []string{"hello-jvm.xva"}, Check: check})
		})
	}
}

// open opens an export with its holes known.
func open(t *testing.T, path string) *xva.Package {
	t.Helper()
	f, err := disk.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	p, err := xva.Open(f, f.Size())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// check lets GNU tar list the archive, xmllint and Python's XML-RPC read the
// records, and reads the disk back. How the chunks are put together by other
// programs is a test of disk/xva.
func check(t *testing.T, m outputtest.Made) {
	path := m.Dir.Path("hello-jvm.xva")
	dir := t.TempDir()
	tar := disktest.Program(t, "tar", "tar")
	names := strings.Fields(disktest.Run(t, tar, "-tf", path))
	if names[0] != "ova.xml" || names[1] != "Ref:3/00000000" || len(names)%2 != 1 {
		t.Errorf("the members are %q", names)
	}
	disktest.Run(t, tar, "-xf", path, "-C", dir, "ova.xml")
	disktest.Run(t, disktest.Program(t, "xmllint", "libxml2-utils"), "--noout", "--nonet", filepath.Join(dir, "ova.xml"))
	checkRecords(t, m, filepath.Join(dir, "ova.xml"))

	p := open(t, path)
	if v, err := p.Verify(t.Context()); err != nil || v.State != ovf.Valid {
		t.Errorf("%+v, %v", v, err)
	}
	r, format, err := p.OpenDisk(p.Disks[0])
	if err != nil || format != "xva" {
		t.Fatalf("%q, %v", format, err)
	}
	disktest.TestReader(t, r, m.Disk)
}

// pythonReads prints the records as Python's own XML-RPC understands them.
const pythonReads = `import sys, json, xmlrpc.client
text = open(sys.argv[1], encoding="utf-8").read()
(value,), _ = xmlrpc.client.loads("<params><param>" + text + "</param></params>")
print(json.dumps(value, default=str))`

// checkRecords asks that every reference leads to an object, and for what a
// host takes from the records.
func checkRecords(t *testing.T, m outputtest.Made, path string) {
	t.Helper()
	text := disktest.Run(t, disktest.Program(t, "python3", "python3"), "-c", pythonReads, path)
	var export struct {
		Version map[string]string
		Objects []struct {
			Class, ID string
			Snapshot  map[string]any
		}
	}
	if err := json.Unmarshal([]byte(text), &export); err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	for _, o := range export.Objects {
		ids[o.ID] = o.Class
	}
	for _, o := range export.Objects {
		for name, v := range o.Snapshot {
			list, _ := v.([]any)
			for _, ref := range append(list, v) {
				if s, _ := ref.(string); strings.HasPrefix(s, "Ref:") && ids[s] == "" {
					t.Errorf("%s of the %s leads to %s, which is not there", name, o.Class, s)
				}
			}
		}
	}
	vm, vdi := export.Objects[0].Snapshot, export.Objects[3].Snapshot
	boot, _ := vm["HVM_boot_params"].(map[string]any)
	size := json.Number(vdi["virtual_size"].(string))
	if n, err := size.Int64(); err != nil || n != m.Disk.Size() || export.Objects[3].Class != "VDI" {
		t.Errorf("the disk has %v bytes", size)
	}
	if vm["name_label"] != "hello-jvm" || vm["name_description"] != m.Appliance.Description || vm["memory_static_max"] != "262144000" ||
		vm["VCPUs_max"] != "2" || vm["is_a_template"] != false || boot["firmware"] != "bios" || boot["order"] != "c" || export.Version["export_vsn"] != "2" {
		t.Errorf("Python reads %s", text)
	}
}

func TestOpen(t *testing.T) {
	a := outputtest.Appliance()
	a.Firmware = "uefi"
	m := outputtest.Write(t, outputtest.Format{Format: xva.Format{}, Appliance: a, Options: `{"network":"Backup & more"}`}, "1 MiB")
	p := open(t, m.Dir.Path("hello-jvm.xva"))
	want := ovf.Description{
		Files: []ovf.File{{ID: "Ref:3", Name: "Ref:3"}}, Disks: []ovf.Disk{{ID: "Ref:3", File: "Ref:3", Capacity: 1 << 20}},
		Networks: []string{"Backup & more"},
		Machines: []ovf.Machine{{
			ID: "Ref:0", Name: "hello-jvm", Annotation: a.Description, CPUs: 2, Memory: 250 << 20, Firmware: "uefi", System: "HVM",
			Disks: []string{"Ref:3"}, Adapters: []ovf.Adapter{{Network: "Backup & more"}},
		}},
	}
	if diff := cmp.Diff(want.Machines, p.Machines); diff != "" {
		t.Error(diff)
	}
	if len(p.Files) != 1 || p.Files[0].Name != "Ref:3" || !cmp.Equal(want.Disks, p.Disks) || !cmp.Equal(want.Networks, p.Networks) || p.Notes != nil {
		t.Errorf("%+v", p.Description)
	}
}

// TestBroken flips a bit in the data of the disk.
func TestBroken(t *testing.T) {
	m := outputtest.Write(t, outputtest.Format{Format: xva.Format{}}, "1 MiB")
	path := m.Dir.Path("hello-jvm.xva")
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{0xa5}, info.Size()/2); err != nil {
		t.Fatal(err)
	}
	v, err := open(t, path).Verify(t.Context())
	if err != nil || v.State != ovf.Broken || v.Algorithm != "SHA1" || len(v.Problems) != 1 {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestOptions(t *testing.T) {
	_, err := xva.Format{}.New(json.RawMessage(`{"checksum":"md5"}`))
	if fault.KindOf(err) != fault.Recipe || len(fault.HintsOf(err)) == 0 {
		t.Errorf("%v", err)
	}
}
