package convert_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/disk/image"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/convert"
	"github.com/imgbuild/imgbuild/output/formats"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/ovf"
)

func run(t *testing.T, in, out string) *convert.Result {
	t.Helper()
	r, err := convert.Run(t.Context(), convert.Options{In: in, Out: out, Created: time.Unix(1_000_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// same compares the disks of two images.
func same(t *testing.T, a, b string) {
	t.Helper()
	var disks []disk.Reader
	for _, path := range []string{a, b} {
		d, _, closer, err := image.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer closer.Close()
		disks = append(disks, d)
	}
	if err := disktest.Diff(disks[0], disks[1]); err != nil {
		t.Errorf("%s and %s: %v", a, b, err)
	}
}

// TestRoundTrips goes from each format into another, and back to a raw disk.
func TestRoundTrips(t *testing.T) {
	raw := disktest.RawFile(t, disktest.Named(t, "mixed"))
	dir := t.TempDir()
	packages := []string{"ova", "ovf", "ovm", "xva"}
	for _, from := range convert.Formats() {
		first := into(t, raw, filepath.Join(dir, "from-"+from), from)
		for _, to := range convert.Formats() {
			// What is read does not depend on what is written, but for what
			// packages say of the machine.
			both := slices.Contains(packages, from) && slices.Contains(packages, to)
			if from != "qcow2" && to != "vhdx" && (testing.Short() || !both) {
				continue
			}
			second := into(t, first, filepath.Join(dir, from+"-"+to), to)
			back := filepath.Join(dir, "back.raw")
			run(t, second, back)
			begins(t, back, raw)
		}
	}
}

// into converts into a format and returns the file that holds the disk.
func into(t *testing.T, in, stem, format string) string {
	t.Helper()
	out := stem + map[string]string{"kubevirt": ".oci.tar", "xen": ".cfg", "gcp": ".tar.gz", "vagrant": ".box", "libvirt": ".xml", "proxmox": ".sh", "ovm": ".tgz", "azure": ".vhd", "openstack": ".qcow2"}[format]
	if out == stem {
		out += "." + format
	}
	r, err := convert.Run(t.Context(), convert.Options{In: in, Out: out, Format: format, Created: time.Unix(1_000_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if r.Format != format || r.Size%(1<<20) != 0 || len(r.Files) == 0 {
		t.Errorf("into %s: %+v", format, r)
	}
	// The disk of those that describe it in another file.
	for _, f := range r.Files {
		if strings.HasPrefix(f.Path, filepath.Base(stem)+"-"+format+".") && (strings.HasSuffix(f.Path, ".qcow2") || strings.HasSuffix(f.Path, ".raw")) {
			return filepath.Join(filepath.Dir(out), f.Path)
		}
	}
	return out
}

// begins compares the disk of an image with another, which may be longer and is
// empty there.
func begins(t *testing.T, path, raw string) {
	t.Helper()
	a, _, closeA, err := image.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer closeA.Close()
	b, _, closeB, err := image.Open(raw)
	if err != nil {
		t.Fatal(err)
	}
	defer closeB.Close()
	if err := disktest.Diff(a, disk.Concat(b, disk.NewMemory(a.Size()-b.Size()))); err != nil {
		t.Errorf("%s: %v", path, err)
	}
}

// TestCompressed goes through each compression, of a raw disk and of another.
func TestCompressed(t *testing.T) {
	raw, dir := disktest.RawFile(t, disktest.Named(t, "1 MiB")), t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, kind := range []string{"xz", "zst", "gz"} {
		r := run(t, raw, path("a.img."+kind))
		if len(r.Files) != 1 || r.Files[0].Path != "a.img."+kind {
			t.Errorf("%+v", r.Files)
		}
		r = run(t, path("a.img."+kind), path("a.qcow2"))
		if r.Source != "raw."+kind {
			t.Errorf("%+v", r)
		}
		same(t, path("a.qcow2"), raw)
	}
	disktest.Run(t, disktest.Program(t, "gzip", "gzip"), path("a.qcow2"))
	if r := run(t, path("a.qcow2.gz"), path("b.vhdx")); r.Source != "qcow2.gz" || r.DiskFormat != "qcow2" {
		t.Errorf("%+v", r)
	}
	same(t, path("b.vhdx"), raw)
}

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
	first, second := sample(t, "mixed"), sample(t, "1 MiB")
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

// TestOverItself does not write over the disk that is read, by whatever name
// the format gives its files.
func TestOverItself(t *testing.T) {
	dir := t.TempDir()
	text := []byte("12345678")
	for in, out := range map[string]string{"x-disk1.vmdk": "x.ovf", "x-xen.raw": "x.cfg", "x-libvirt.qcow2": "x.xml"} {
		in, out = filepath.Join(dir, in), filepath.Join(dir, out)
		if err := os.WriteFile(in, bytes.Repeat(text, 1<<17), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := convert.Run(t.Context(), convert.Options{In: in, Out: out})
		if fault.KindOf(err) != fault.Usage || !strings.Contains(err.Error(), "same file") {
			t.Errorf("%s to %s: %v", in, out, err)
		}
		if b, err := os.ReadFile(in); !bytes.HasPrefix(b, text) {
			t.Errorf("%s is not what it was (%v)", in, err)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 3 {
		t.Errorf("the folder holds %v (%v)", files, err)
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
	run(t, sample(t, "1 MiB"), filepath.Join(dir, "full.vmdk"))
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
	run(t, sample(t, "1 MiB"), filepath.Join(dir, "full.vmdk"))
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

// TestRepeat converts twice: the files are the same.
func TestRepeat(t *testing.T) {
	raw, dir := disktest.RawFile(t, disktest.Named(t, "islands")), t.TempDir()
	for _, name := range []string{"a.qcow2", "a.vmdk", "a.vhd", "a.vhdx", "a.ova"} {
		first := run(t, raw, filepath.Join(dir, name))
		second := run(t, raw, filepath.Join(dir, name))
		for i := range first.Files {
			if first.Files[i].SHA256 != second.Files[i].SHA256 {
				t.Errorf("%s: two files", first.Files[i].Path)
			}
		}
	}
}

// TestInterrupted leaves what was there, and nothing else.
func TestInterrupted(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "x.vhd")
	if err := os.WriteFile(out, []byte("earlier"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := convert.Run(ctx, convert.Options{In: disktest.RawFile(t, disktest.Named(t, "mixed")), Out: out, Progress: func(int64, int64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v (%v)", entries, err)
	}
	if b, err := os.ReadFile(out); string(b) != "earlier" {
		t.Errorf("the file holds %q (%v)", b, err)
	}
}

func TestWrongUse(t *testing.T) {
	raw, dir := disktest.RawFile(t, disktest.Named(t, "1 MiB")), t.TempDir()
	for word, o := range map[string]convert.Options{
		"does not tell":      {In: raw, Out: filepath.Join(dir, "x.iso")},
		"no format":          {In: raw, Out: filepath.Join(dir, "x.raw"), Format: "iso"},
		"is a folder":        {In: raw, Out: dir, Format: "raw"},
		"once more":          {In: raw, Out: filepath.Join(dir, "x.qcow2.xz")},
		"same file":          {In: raw, Out: raw, Format: "raw"},
		"not a package":      {In: raw, Out: filepath.Join(dir, "x.raw"), Disk: "1"},
		"is no name":         {In: raw, Out: filepath.Join(dir, ".raw")},
		"options of output":  {In: raw, Out: filepath.Join(dir, "x.vhd"), FormatOptions: map[string]any{"size": 1}},
		"no name for an out": {In: raw, Out: filepath.Join(dir, ".imgbuild-x.raw")},
	} {
		_, err := convert.Run(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), word) || fault.KindOf(err) != fault.Usage {
			t.Errorf("%s: %v", word, err)
		}
	}
}

// TestArchives converts disks out of what outputs wrap around them, and tells
// what is left behind.
func TestArchives(t *testing.T) {
	for format, c := range map[string]struct{ file, lost string }{
		"gcp":      {"hello-jvm-gcp.tar.gz", ""},
		"vagrant":  {"hello-jvm.box", "file: Vagrantfile"},
		"kubevirt": {"hello-jvm-kubevirt.oci.tar", "container image: "},
	} {
		s, err := formats.Select(format, nil)
		if err != nil {
			t.Fatal(err)
		}
		m := outputtest.Write(t, outputtest.Format{Format: s.Format}, "partial grain")
		back := filepath.Join(t.TempDir(), "back.raw")
		r := run(t, m.Dir.Path(c.file), back)
		if !strings.Contains(strings.Join(r.Lost, "\n"), c.lost) {
			t.Errorf("%s: lost %q", format, r.Lost)
		}
		d, err := disk.OpenFile(back)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if err := disktest.Diff(disk.Section(d, 0, m.Disk.Size()), m.Disk); err != nil {
			t.Errorf("%s: %v", format, err)
		}
	}
}

// TestNoImage refuses what is no disk.
func TestNoImage(t *testing.T) {
	dir := t.TempDir()
	text, tree := filepath.Join(dir, "hello.pvh.cfg"), filepath.Join(dir, "hello.oci.tar")
	if err := os.WriteFile(text, []byte("name = 'hello'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := outputtest.Tree(t).Export(t.Context(), tree, "docker.io/library/hello:1"); err != nil {
		t.Fatal(err)
	}
	for path, word := range map[string]string{text: "no image of a known kind", tree: "none of its layers is the disk"} {
		_, err := convert.Run(t.Context(), convert.Options{In: path, Out: filepath.Join(dir, "x.qcow2")})
		if err == nil || !strings.Contains(err.Error(), word) || fault.KindOf(err) != fault.Input || len(fault.HintsOf(err)) == 0 {
			t.Errorf("%s: %v", path, err)
		}
	}
}
