package source_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/formats"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/source"
)

// made lists, for each output format with a disk, the file that holds it, and
// what the source of it is called.
var made = []struct{ format, file, source string }{
	{"azure", "hello-jvm-azure.vhd", "vhd"},
	{"gcp", "hello-jvm-gcp.tar.gz", "gcp"},
	{"kubevirt", "hello-jvm-kubevirt.oci.tar", "oci"},
	{"libvirt", "hello-jvm-libvirt.qcow2", "qcow2"},
	{"openstack", "hello-jvm-openstack.qcow2", "qcow2"},
	{"ova", "hello-jvm.ova", "ova"},
	{"ovf", "hello-jvm.ovf", "ovf"},
	{"ovm", "hello-jvm.tgz", "ovm"},
	{"proxmox", "hello-jvm-proxmox.qcow2", "qcow2"},
	{"qcow2", "hello-jvm.qcow2", "qcow2"},
	{"raw", "hello-jvm.raw", "raw"},
	{"vagrant", "hello-jvm.box", "vagrant"},
	{"vhd", "hello-jvm.vhd", "vhd"},
	{"vhdx", "hello-jvm.vhdx", "vhdx"},
	{"vmdk", "hello-jvm.vmdk", "vmdk"},
	{"xen", "hello-jvm-xen.raw", "raw"},
	{"xva", "hello-jvm.xva", "xva"},
}

// open opens a source until the end of the test.
func open(t *testing.T, path string) *source.Source {
	t.Helper()
	s, err := source.Open(t.Context(), path)
	if err != nil {
		t.Fatalf("opening %s: %v", path, err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// holds checks that a source has one disk, which is want, followed by zeros
// where the format rounds up.
func holds(t *testing.T, s *source.Source, want disk.Reader) {
	t.Helper()
	d, err := s.One("")
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := d.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := disktest.Diff(disk.Section(r, 0, want.Size()), want); err != nil {
		t.Error(err)
	}
	if e, err := r.NextData(want.Size()); err == nil {
		tail := make([]byte, e.Len)
		if n, _ := r.ReadAt(tail, e.Off); n < len(tail) || !disk.IsZero(tail) {
			t.Errorf("there is data behind the disk, at %v", e)
		}
	}
}

// write makes the files of a format over a sample.
func write(t *testing.T, format string) outputtest.Made {
	t.Helper()
	for _, f := range formats.All() {
		if f.Name() == format {
			return outputtest.Write(t, outputtest.Format{Format: f}, "mixed")
		}
	}
	t.Fatalf("there is no format %q", format)
	return outputtest.Made{}
}

// TestOutputs finds the disk in what every output format makes.
func TestOutputs(t *testing.T) {
	for _, c := range made {
		t.Run(c.format, func(t *testing.T) {
			m := write(t, c.format)
			s := open(t, m.Dir.Path(c.file))
			if s.Format != c.source {
				t.Errorf("the source is %q", s.Format)
			}
			holds(t, s, m.Disk)
		})
	}
}

// TestOthers finds the disk in what other programs make of the same files: GNU
// tar's sparse archives, boxes that are compressed, images in a folder and as
// docker saves them, a layer that is compressed, and compressed disks.
func TestOthers(t *testing.T) {
	tar, gzip := disktest.Program(t, "tar", "tar"), disktest.Program(t, "gzip", "gzip")
	skopeo, zstd := disktest.Program(t, "skopeo", "skopeo"), disktest.Program(t, "zstd", "zstd")
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	raw, box, image := write(t, "raw"), write(t, "vagrant"), write(t, "kubevirt")

	if err := os.Link(raw.Dir.Path("hello-jvm.raw"), path("disk.raw")); err != nil {
		t.Fatal(err)
	}
	disktest.Run(t, tar, "-C", dir, "--format=oldgnu", "-Sczf", path("gcp.tar.gz"), "disk.raw")
	disktest.Run(t, tar, "-C", dir, "--format=posix", "-Scf", path("sparse.tar"), "disk.raw")
	disktest.Run(t, gzip, "-n", "-1", "-k", box.Dir.Path("hello-jvm.box"))
	disktest.Run(t, zstd, "-q", path("disk.raw"), "-o", path("disk.img.zst"))
	archive := "oci-archive:" + image.Dir.Path("hello-jvm-kubevirt.oci.tar") + ":1.0.0"
	disktest.Run(t, skopeo, "--insecure-policy", "--tmpdir", dir, "copy", "-q", archive, "docker-archive:"+path("saved.tar")+":hello:1")
	disktest.Run(t, skopeo, "--insecure-policy", "--tmpdir", dir, "copy", "-q", "--dest-compress", archive, "oci:"+path("folder")+":1")
	for file, format := range map[string]string{
		path("gcp.tar.gz"): "gcp", path("sparse.tar"): "gcp", box.Dir.Path("hello-jvm.box.gz"): "vagrant.gz",
		path("disk.img.zst"): "raw.zst", path("saved.tar"): "docker", path("folder"): "oci",
	} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			s := open(t, file)
			if s.Format != format {
				t.Errorf("the source is %q, not %q", s.Format, format)
			}
			holds(t, s, raw.Disk)
		})
	}
}

// TestNoDisk tells what is wanting.
func TestNoDisk(t *testing.T) {
	tar := disktest.Program(t, "tar", "tar")
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"text", "a.img", "b.img"} {
		if err := os.WriteFile(path(name), make([]byte, 512), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	disktest.Run(t, tar, "-C", dir, "-cf", path("text.tar"), "text")
	disktest.Run(t, tar, "-C", dir, "-cf", path("two.tar"), "text", "a.img", "b.img")
	if err := outputtest.Tree(t).Export(t.Context(), path("tree.tar"), "docker.io/library/hello:1"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		file, disk, word string
		kind             fault.Kind
	}{
		{"text.tar", "", "no disk image in it", fault.Input},
		{"tree.tar", "", "none of its layers", fault.Input},
		{"two.tar", "", "holds 2 disks", fault.Usage},
		{"two.tar", "c.img", "no disk \"c.img\"", fault.Usage},
		{"a.img", "b.img", "not a package", fault.Usage},
	} {
		_, err := open(t, path(c.file)).One(c.disk)
		if err == nil || !strings.Contains(err.Error(), c.word) || fault.KindOf(err) != c.kind || len(fault.HintsOf(err)) == 0 {
			t.Errorf("%s: %v", c.file, err)
		}
	}
	s := open(t, path("two.tar"))
	if d, err := s.One("b.img"); err != nil || d.Name != "b.img" || !slices.Equal(s.Beside, []string{"text"}) {
		t.Errorf("%+v %v, beside %q", d, err, s.Beside)
	}
}

// TestRefused tells why a file is not opened, without its path.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	m := write(t, "ova")
	disktest.Run(t, disktest.Program(t, "gzip", "gzip"), "-1", "-k", m.Dir.Path("hello-jvm.ova"))
	twice := file("a", "text")
	disktest.Run(t, disktest.Program(t, "gzip", "gzip"), twice)
	disktest.Run(t, disktest.Program(t, "xz", "xz-utils"), twice+".gz")
	for path, word := range map[string]string{
		filepath.Join(dir, "missing"):   "no such file",
		dir:                             "it is a folder",
		file("x.zip", "PK\x03\x04 and"): "zip",
		file("x.bz2", "BZh9 and more"):  "bzip2",
		m.Dir.Path("hello-jvm.ova.gz"):  "compressed OVA",
		twice + ".gz.xz":                "compressed twice",
	} {
		_, err := source.Open(t.Context(), path)
		if err == nil || !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), path) ||
			fault.KindOf(err) != fault.Input || len(fault.HintsOf(err)) == 0 {
			t.Errorf("%s: %v", path, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	gcp := write(t, "gcp")
	if _, err := source.Open(ctx, gcp.Dir.Path("hello-jvm-gcp.tar.gz")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
