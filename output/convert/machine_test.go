package convert_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/convert"
	"github.com/imgbuild/imgbuild/output/ovf"
)

// TestPackage converts a package that says much: what has no place is told.
func TestPackage(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	ova := path("a.ova")
	_, err := convert.Run(t.Context(), convert.Options{In: disktest.RawFile(t, disktest.Named(t, "1 MiB")), Out: ova, CPUs: 3, Memory: 1 << 30, Created: time.Unix(1_000_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(run(t, ova, path("b.qcow2")).Lost, "\n")
	for _, want := range []string{"processors: 3", "memory: 1073741824 bytes", "name: a", "machine type: vmx-14", "firmware: bios", "network card: VmxNet3"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not among what was lost:\n%s", want, text)
		}
	}
	r := run(t, ova, path("c.ova"))
	if len(r.Assumed) > 0 {
		t.Errorf("assumed %q", r.Assumed)
	}
	p, err := ovf.Open(path("c.ova"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if m := p.Machines[0]; m.CPUs != 3 || m.Memory != 1<<30 || m.Firmware != "bios" {
		t.Errorf("the new package says %+v", m)
	}
	if v, err := p.Verify(t.Context()); err != nil || v.State != ovf.Valid {
		t.Errorf("%+v, %v", v, err)
	}
}

// twoDisks makes a package of a machine with two disks and one beside it, as
// somebody else would: each disk of its own format, one of them blank.
func twoDisks(t *testing.T) (path, first, second string) {
	t.Helper()
	dir := t.TempDir()
	first, second = disktest.RawFile(t, disktest.Named(t, "mixed")), disktest.RawFile(t, disktest.Named(t, "1 MiB"))
	run(t, first, filepath.Join(dir, "a.vmdk"))
	run(t, second, filepath.Join(dir, "b.qcow2"))
	run(t, second, filepath.Join(dir, "c.vmdk"))
	path = filepath.Join(dir, "two.ovf")
	text, err := os.ReadFile("testdata/two.ovf")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return path, first, second
}

// TestSeveralDisks keeps the disks of a machine, blank ones too, in their order,
// and tells what stays behind.
func TestSeveralDisks(t *testing.T) {
	in, first, second := twoDisks(t)
	blank := disktest.RawFile(t, disk.NewMemory(4<<20))
	dir := t.TempDir()
	for suffix, names := range map[string][3]string{
		".ova": {"vmdisk1", "vmdisk2", "vmdisk3"}, ".ovf": {"vmdisk1", "vmdisk2", "vmdisk3"}, ".tgz": {"xvda", "xvdb", "xvdc"}, ".xva": {"Ref:3", "Ref:301", "Ref:302"},
	} {
		out := filepath.Join(dir, "out"+suffix)
		r := run(t, in, out)
		text := strings.Join(r.Lost, "\n")
		if r.Disks != 3 || r.Size != 13<<20 || !strings.Contains(text, "disk: other of 1048576 bytes") || strings.Count(text, "disk: ") != 1 {
			t.Errorf("%d disks of %d bytes, lost:\n%s", r.Disks, r.Size, text)
		}
		for name, want := range map[string]string{names[0]: second, names[1]: first, names[2]: blank} {
			back := filepath.Join(dir, "back.raw")
			if _, err := convert.Run(t.Context(), convert.Options{In: out, Out: back, Disk: name}); err != nil {
				t.Fatal(err)
			}
			same(t, back, want)
		}
		again := filepath.Join(dir, "again"+suffix)
		if r := run(t, out, again); r.Disks != 3 || strings.Contains(strings.Join(r.Lost, "\n"), "disk") {
			t.Errorf("of our own package %d disks were kept, lost %q", r.Disks, r.Lost)
		}
	}
	if _, err := convert.Run(t.Context(), convert.Options{In: in, Out: filepath.Join(dir, "x.raw")}); fault.KindOf(err) != fault.Usage {
		t.Errorf("the error is %v", err)
	}
	r, err := convert.Run(t.Context(), convert.Options{In: in, Out: filepath.Join(dir, "one.ova"), Disk: "one"})
	if err != nil || r.Disks != 1 || !strings.Contains(strings.Join(r.Lost, "\n"), "disk: two") {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestSeveralImages makes one package of several images.
func TestSeveralImages(t *testing.T) {
	first, second := disktest.RawFile(t, disktest.Named(t, "mixed")), disktest.RawFile(t, disktest.Named(t, "1 MiB"))
	dir := t.TempDir()
	vhd, other := filepath.Join(dir, "a.vhd"), filepath.Join(dir, "b.ova")
	run(t, first, vhd)
	run(t, second, other)
	out := filepath.Join(dir, "out.ova")
	r, err := convert.Run(t.Context(), convert.Options{In: vhd, More: []string{other}, Out: out})
	if err != nil {
		t.Fatal(err)
	}
	if lost := "description: b.ovf of " + other; r.Disks != 2 || r.Size != 9<<20 || !slices.Equal(r.Lost, []string{lost}) {
		t.Errorf("%d disks of %d bytes, lost %q", r.Disks, r.Size, r.Lost)
	}
	for name, want := range map[string]string{"vmdisk1": first, "vmdisk2": second} {
		back := filepath.Join(dir, "back.raw")
		if _, err := convert.Run(t.Context(), convert.Options{In: out, Out: back, Disk: name}); err != nil {
			t.Fatal(err)
		}
		same(t, back, want)
	}
	for word, o := range map[string]convert.Options{
		"holds one disk": {In: vhd, More: []string{other}, Out: filepath.Join(dir, "x.qcow2")},
		"same file":      {In: vhd, More: []string{other}, Out: other},
		"holds 2 disks":  {In: vhd, More: []string{out}, Out: filepath.Join(dir, "x.ova")},
	} {
		if _, err := convert.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), word) || fault.KindOf(err) != fault.Usage {
			t.Errorf("%s: %v", word, err)
		}
	}
}

// TestLost tells for each format what of a machine it does not say.
func TestLost(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in.ovf")
	text, err := os.ReadFile("testdata/full.ovf")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in, text, 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, disktest.RawFile(t, disktest.Named(t, "1 MiB")), filepath.Join(dir, "full.vmdk"))
	everything := []string{"processors", "memory", "product", "vendor", "version", "annotation", "operating system", "firmware"}
	machine := []string{"processors", "memory", "annotation", "firmware"}
	kept := map[string][]string{
		"ova": everything, "ovf": everything, "ovm": {"processors", "memory", "annotation", "operating system"},
		"xva": machine, "libvirt": machine, "xen": {"processors", "memory", "firmware"}, "vagrant": {"processors", "memory"},
		"proxmox":   append([]string{"operating system"}, machine...),
		"openstack": {"memory", "version", "annotation", "operating system", "firmware"}, "kubevirt": {"version"},
	}
	for _, format := range convert.Formats() {
		r, err := convert.Run(t.Context(), convert.Options{In: in, Out: filepath.Join(dir, "out-"+format), Format: format})
		if err != nil {
			t.Fatal(err)
		}
		for _, fact := range everything {
			lost := slices.ContainsFunc(r.Lost, func(l string) bool { return strings.HasPrefix(l, fact+": ") })
			if lost == slices.Contains(kept[format], fact) {
				t.Errorf("into %s: %s: lost %v; all that is lost: %q", format, fact, lost, r.Lost)
			}
		}
	}
}

// TestAsked carries what people are told and asked from package to package.
func TestAsked(t *testing.T) {
	dir := t.TempDir()
	text, err := os.ReadFile("testdata/full.ovf")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "in.ovf"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, disktest.RawFile(t, disktest.Named(t, "1 MiB")), filepath.Join(dir, "full.vmdk"))
	r := run(t, filepath.Join(dir, "in.ovf"), filepath.Join(dir, "out.ova"))
	want := []string{"name: Fullness", "machine type: vmx-11", "controller: SCSI lsilogic", "network card: E1000", "network card: E1000", "property: org.example.port.1", "deployment option: large"}
	if diff := cmp.Diff(want, r.Lost); diff != "" {
		t.Error(diff)
	}
	p, err := ovf.Open(filepath.Join(dir, "out.ova"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	m := p.Machines[0]
	if diff := cmp.Diff([]ovf.Property{{Key: "greeting", Type: "string", Qualifiers: "MaxLen(9)", Value: "Hello", Label: "Greeting", Description: "What it says", Settable: true}}, m.Properties); diff != "" {
		t.Error(diff)
	}
	if m.Product != "Full & more" || m.Vendor != "Somebody" || m.Version != "7.8" || m.Firmware != "efi" || m.Annotation != "Says <much>" ||
		!slices.Equal(m.Agreements, []string{"Be nice."}) || !slices.Equal(p.Networks, []string{"front", "back"}) || len(m.Adapters) != 2 {
		t.Errorf("the new package says %+v and has the networks %q", m, p.Networks)
	}
}
