package inspect_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/disk/part"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/inspect"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/formats"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/ovf"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/fstest"
)

const mib = 1 << 20

// appliance makes a disk with a boot partition, an ext4, and a partition that
// nobody knows; between them lies something that was forgotten.
func appliance(t *testing.T) *disk.Memory {
	t.Helper()
	fstest.Need(t, "dosfstools", "mkfs.fat")
	fstest.Need(t, "mtools", "mcopy", "mmd")
	fstest.Need(t, "e2fsprogs", "mke2fs")
	dir := t.TempDir()
	esp, data, kernel := filepath.Join(dir, "esp"), filepath.Join(dir, "data"), filepath.Join(dir, "kernel")
	if err := os.WriteFile(kernel, []byte("a kernel"), 0o644); err != nil {
		t.Fatal(err)
	}
	fstest.Program(t, "mkfs.fat", "-C", "-F12", "-n", "BOOT", "--invariant", esp, "8192")
	fstest.Program(t, "mmd", "-i", esp, "::/EFI")
	fstest.Program(t, "mcopy", "-i", esp, kernel, "::/EFI/KERNEL.EFI")
	fstest.Program(t, "mke2fs", "-q", "-t", "ext4", "-L", "data", data, "4m")
	d := disk.NewMemory(16 * mib)
	copyIn := func(path string, off int64) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.WriteAt(b, off); err != nil {
			t.Fatal(err)
		}
	}
	copyIn(esp, mib)
	copyIn(data, 9*mib)
	table := &part.Table{Scheme: part.GPT, DiskGUID: part.GUIDFrom(nil, "disk"), Entries: []part.Entry{
		{Index: 1, Name: "boot", Type: part.TypeESP, GUID: part.GUIDFrom(nil, "1"), Attributes: part.LegacyBoot, Extent: disk.Extent{Off: mib, Len: 8 * mib}},
		{Index: 2, Name: "data", Type: part.TypeLinux, GUID: part.GUIDFrom(nil, "2"), Extent: disk.Extent{Off: 9 * mib, Len: 4 * mib}},
		{Index: 3, Name: "odd\x1b[2J", Type: part.GUIDFrom(nil, "odd"), GUID: part.GUIDFrom(nil, "3"), Extent: disk.Extent{Off: 14 * mib, Len: mib}},
	}}
	if err := table.Write(d); err != nil {
		t.Fatal(err)
	}
	if _, err := d.WriteAt([]byte("forgotten"), 13*mib+1000); err != nil {
		t.Fatal(err)
	}
	return d
}

// write makes every format of an appliance and returns the folder.
func write(t *testing.T, d disk.Reader) *output.Dir {
	t.Helper()
	dir, err := output.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a := outputtest.Appliance()
	a.Tree = outputtest.Tree(t)
	var selected []output.Selected
	for _, name := range []string{"raw", "qcow2", "ova", "ovf", "oci"} {
		s, err := formats.Select(name, nil)
		if err != nil {
			t.Fatal(err)
		}
		selected = append(selected, s)
	}
	if _, err := output.Write(t.Context(), a, d, dir, selected, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

func read(t *testing.T, path string) *inspect.Report {
	t.Helper()
	r, err := inspect.Read(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestDisks finds the same in every format.
func TestDisks(t *testing.T) {
	d := appliance(t)
	dir := write(t, d)
	for name, format := range map[string]string{
		"hello-jvm.raw": "raw", "hello-jvm.qcow2": "qcow2", "hello-jvm-disk1.vmdk": "vmdk", "hello-jvm.ova": "ova", "hello-jvm.ovf": "ovf",
	} {
		r := read(t, dir.Path(name))
		info, err := os.Stat(dir.Path(name))
		if err != nil {
			t.Fatal(err)
		}
		if r.Format != format || r.Size != info.Size() || r.Allocated == 0 || len(r.Disks) != 1 {
			t.Fatalf("%s: %+v", name, r)
		}
		checkDisk(t, name, r.Disks[0])
		if packaged := format == "ova" || format == "ovf"; packaged != (r.Package != nil) || packaged && r.Package.Manifest.State != ovf.Valid {
			t.Errorf("%s: the package is %+v", name, r.Package)
		}
	}
}

func checkDisk(t *testing.T, name string, got inspect.Disk) {
	t.Helper()
	want := []inspect.Volume{
		{
			Index: 1, Name: "boot", Type: part.TypeESP.String(), TypeName: "EFI system", GUID: part.GUIDFrom(nil, "1").String(), Active: true,
			Offset: mib, Size: 8 * mib, Filesystem: "FAT12", Label: "BOOT", Files: []inspect.BootFile{{Path: "/EFI/KERNEL.EFI", Size: 8}},
		},
		{
			Index: 2, Name: "data", Type: part.TypeLinux.String(), TypeName: "Linux", GUID: part.GUIDFrom(nil, "2").String(),
			Offset: 9 * mib, Size: 4 * mib, Filesystem: "ext4",
		},
		{
			Index: 3, Name: "odd\x1b[2J", Type: part.GUIDFrom(nil, "odd").String(), GUID: part.GUIDFrom(nil, "3").String(),
			Offset: 14 * mib, Size: mib,
		},
	}
	if diff := cmp.Diff(want, got.Volumes, cmpopts.IgnoreFields(inspect.Volume{}, "Classes")); diff != "" {
		t.Errorf("%s:\n%s", name, diff)
	}
	if got.Size != 16*mib || got.Data <= 0 || got.Data > got.Size {
		t.Errorf("%s: %d bytes, %d of data", name, got.Size, got.Data)
	}
	if diff := cmp.Diff(&inspect.Table{Scheme: part.GPT, ID: part.GUIDFrom(nil, "disk").String()}, got.Table); diff != "" {
		t.Errorf("%s:\n%s", name, diff)
	}
	// Every byte is accounted for, on the disk and in each volume.
	var sum int64
	for _, c := range got.Classes {
		sum += c.Bytes
		if c.Class == sanitize.Gap && c.NonZero != int64(len("forgotten")) {
			t.Errorf("%s: %d bytes in gaps are not zero", name, c.NonZero)
		}
	}
	if sum != got.Size {
		t.Errorf("%s: the classes sum to %d", name, sum)
	}
	for _, v := range got.Volumes {
		sum := int64(0)
		for _, c := range v.Classes {
			sum += c.Bytes
		}
		if sum != v.Size {
			t.Errorf("%s: the classes of volume %d sum to %d", name, v.Index, sum)
		}
	}
}

func TestText(t *testing.T) {
	dir := write(t, appliance(t))
	for name, lines := range map[string][]string{
		"hello-jvm.ova": {
			"hello-jvm.ova: ova, ", "package OVF 1, descriptor hello-jvm.ovf", "  manifest  valid, SHA256", "machine hello-jvm",
			"  about         Says \"hello\" & more,\n                in 2 lines — with <tags>\n", "  memory        252 MiB",
			"disk hello-jvm-disk1.vmdk, vmdk, 16 MiB", "FAT12", "EFI system, active", "not recognised", `odd\x1b[2J`,
			"/EFI/KERNEL.EFI  8 B", "dead bytes are not zero",
		},
		"hello-jvm.oci.tar": {
			": oci, ", "image docker.io/library/hello-jvm:1.0.0, linux/amd64", "  entry point  /opt/jre/bin/java -jar", "  layer 2", "  ports        8080/tcp",
		},
	} {
		var b bytes.Buffer
		if err := read(t, dir.Path(name)).WriteText(&b); err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			if !strings.Contains(b.String(), line) {
				t.Errorf("%s: there is no %q in\n%s", name, line, b.String())
			}
		}
		if strings.ContainsAny(b.String(), "\x1b\r\x00") {
			t.Errorf("%s: control characters came through", name)
		}
	}
}

// TestBareFilesystem inspects a disk that has no table.
func TestBareFilesystem(t *testing.T) {
	fstest.Need(t, "e2fsprogs", "mke2fs")
	path := filepath.Join(t.TempDir(), "bare")
	fstest.Program(t, "mke2fs", "-q", "-t", "ext4", "-L", "bare", path, "2m")
	r := read(t, path)
	v := r.Disks[0].Volumes
	if r.Disks[0].Table != nil || len(v) != 1 || v[0].Filesystem != "ext4" || v[0].Label != "bare" || v[0].Size != 2*mib {
		t.Errorf("%+v", r.Disks[0])
	}
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil || !strings.Contains(b.String(), "whole disk") {
		t.Errorf("%v\n%s", err, b.String())
	}
}

// TestBrokenPackage tells what is wrong and still describes the machine.
func TestBrokenPackage(t *testing.T) {
	dir := write(t, disk.NewMemory(mib))
	if err := os.WriteFile(dir.Path("hello-jvm-disk1.vmdk"), []byte("KDMV and nothing more"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := read(t, dir.Path("hello-jvm.ovf"))
	if r.Package.Manifest.State != ovf.Broken || len(r.Package.Notes) == 0 || r.Disks[0].Error == "" || len(r.Package.Machines) != 1 {
		t.Errorf("%+v", r)
	}
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil || !strings.Contains(b.String(), "broken, SHA256") || !strings.Contains(b.String(), "opening a VMDK") {
		t.Errorf("%v\n%s", err, b.String())
	}
}

func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(dir, "some.tar")
	disktest.Run(t, disktest.Program(t, "tar", "tar"), "-C", dir, "-cf", archive, filepath.Base(file("any", nil)))
	for _, c := range []struct{ path, word string }{
		{filepath.Join(dir, "missing"), "no such file"},
		{dir, "a folder"},
		{archive, "neither an OVA nor a container image"},
		{file("empty", nil), "no image of a known kind"},
		{file("text", []byte("hello\n")), "no image of a known kind"},
		{file("page", []byte("<html>\n")), "no image of a known kind"},
		{file("packed", packed.Bytes()), "no image of a known kind"},
		{file("old.bz2", []byte("BZh91AY")), "bzip2"},
		{file("old.zip", []byte("PK\x03\x04")), "zip file"},
		{file("cut.qcow2", []byte("QFI\xfb\x00\x00\x00\x03")), "qcow2"},
		{file("other.vmdk", []byte("# Disk DescriptorFile\n")), "names no extents"},
		{file("bad.ovf", []byte("<Envelope>")), "descriptor"},
	} {
		_, err := inspect.Read(t.Context(), c.path)
		if err == nil || fault.KindOf(err) != fault.Input || !strings.Contains(err.Error(), c.word) || strings.Count(err.Error(), c.path) > 2 {
			t.Errorf("%s: %v", c.path, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	full := file("full.raw", bytes.Repeat([]byte("data"), mib))
	if _, err := inspect.Read(ctx, full); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestJSON is what machines read: it must hold what was found.
func TestJSON(t *testing.T) {
	dir := write(t, disk.NewMemory(mib))
	r := read(t, dir.Path("hello-jvm.ova"))
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back struct {
		Format  string
		Package struct {
			Descriptor string
			Machines   []struct{ Memory int64 }
			Manifest   struct{ State string }
		}
		Disks []struct {
			Size    int64
			Classes []struct{ Class string }
		}
	}
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if back.Format != "ova" || back.Package.Manifest.State != "valid" || back.Package.Machines[0].Memory != 252<<20 ||
		back.Disks[0].Size != mib || back.Disks[0].Classes[0].Class != "unknown" {
		t.Errorf("%s", text)
	}
}
