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

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/disk/image"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/convert"
	"github.com/imgbuild/imgbuild/output/formats"
	"github.com/imgbuild/imgbuild/output/outputtest"
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
	all := slices.DeleteFunc(convert.Formats(), func(format string) bool { return testing.Short() && format == "gcp" }) // a GiB to pack
	for _, from := range all {
		first := into(t, raw, filepath.Join(dir, "from-"+from), from)
		for _, to := range all {
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
