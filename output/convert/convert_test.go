package convert_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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

// TestRoundTrips goes from each format into each, and back to a raw disk.
func TestRoundTrips(t *testing.T) {
	raw := disktest.RawFile(t, disktest.Named(t, "mixed"))
	dir := t.TempDir()
	suffixes := map[string]string{"raw": ".raw", "qcow2": ".qcow2", "vmdk": ".vmdk", "vhd": ".vhd", "vhdx": ".vhdx", "ova": ".ova", "ovf": ".ovf", "ovm": ".tgz", "xva": ".xva"}
	packages := []string{"ova", "ovf", "ovm", "xva"}
	if len(suffixes) != len(convert.Formats()) {
		t.Errorf("the formats are %q", convert.Formats())
	}
	for from, suffix := range suffixes {
		first := filepath.Join(dir, "from-"+from+suffix)
		run(t, raw, first)
		for to, suffix := range suffixes {
			// What is read does not depend on what is written, but for what
			// packages say of the machine.
			both := slices.Contains(packages, from) && slices.Contains(packages, to)
			if from != "qcow2" && to != "vhdx" && (testing.Short() || !both) {
				continue
			}
			second := filepath.Join(dir, from+"-"+to+suffix)
			r := run(t, first, second)
			if r.Source != from || r.Format != to || r.Size != 8<<20 {
				t.Errorf("from %s to %s: %+v", from, to, r)
			}
			back := filepath.Join(dir, "back.raw")
			run(t, second, back)
			same(t, back, raw)
		}
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

// TestSeveralDisks keeps both disks of a machine, in their order, and tells what
// stays behind.
func TestSeveralDisks(t *testing.T) {
	in, first, second := twoDisks(t)
	dir := t.TempDir()
	for suffix, names := range map[string][2]string{
		".ova": {"vmdisk1", "vmdisk2"}, ".ovf": {"vmdisk1", "vmdisk2"}, ".tgz": {"xvda", "xvdb"}, ".xva": {"Ref:3", "Ref:301"},
	} {
		out := filepath.Join(dir, "out"+suffix)
		r := run(t, in, out)
		text := strings.Join(r.Lost, "\n")
		if r.Disks != 2 || r.Size != 9<<20 || !strings.Contains(text, "disk: blank of 4194304 bytes") || !strings.Contains(text, "disk: other of 1048576 bytes") ||
			strings.Contains(text, "disk: one") || strings.Contains(text, "disk: two") {
			t.Errorf("%d disks of %d bytes, lost:\n%s", r.Disks, r.Size, text)
		}
		for name, want := range map[string]string{names[0]: second, names[1]: first} {
			back := filepath.Join(dir, "back.raw")
			if _, err := convert.Run(t.Context(), convert.Options{In: out, Out: back, Disk: name}); err != nil {
				t.Fatal(err)
			}
			same(t, back, want)
		}
		again := filepath.Join(dir, "again"+suffix)
		if r := run(t, out, again); r.Disks != 2 || strings.Contains(strings.Join(r.Lost, "\n"), "disk") {
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
