package ovf_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/ovf"
)

// made writes a package and returns it with the path to open.
func made(t *testing.T, f output.Format, name string) (outputtest.Made, string) {
	t.Helper()
	m := outputtest.Write(t, outputtest.Format{Format: f}, "partial grain")
	return m, m.Dir.Path(name)
}

func open(t *testing.T, path string) *ovf.Package {
	t.Helper()
	p, err := ovf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func verdict(t *testing.T, path string) ovf.Verdict {
	t.Helper()
	v, err := open(t, path).Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestReadsOwn reads back what the two formats write.
func TestReadsOwn(t *testing.T) {
	for name, f := range map[string]output.Format{"hello-jvm.ova": ovf.OVA{}, "hello-jvm.ovf": ovf.OVF{}} {
		m, path := made(t, f, name)
		p := open(t, path)
		if p.Archive != (name == "hello-jvm.ova") || p.Descriptor != "hello-jvm.ovf" {
			t.Errorf("%s: %q, archive %v", name, p.Descriptor, p.Archive)
		}
		want := ovf.Description{
			Version: "1", Networks: []string{"VM Network"},
			Files: []ovf.File{{ID: "file1", Name: "hello-jvm-disk1.vmdk", Size: p.Files[0].Size}},
			Disks: []ovf.Disk{{
				ID: "vmdisk1", File: "file1", Capacity: m.Disk.Size(),
				Format: "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized",
			}},
			Machines: []ovf.Machine{{
				ID: "hello-jvm", Name: "hello-jvm", Product: "hello-jvm", Vendor: m.Appliance.Vendor, Version: "1.0.0",
				Annotation: m.Appliance.Description + "\nTCP ports: 8080, 8443", OS: "Linux, 64 bit", System: "vmx-14",
				CPUs: 2, Memory: 252 << 20, Firmware: "bios", Controllers: []string{"SCSI VirtualSCSI"},
				Adapters: []ovf.Adapter{{Model: "VmxNet3", Network: "VM Network"}}, Disks: []string{"vmdisk1"},
			}},
		}
		if diff := cmp.Diff(want, p.Description, cmpopts.IgnoreUnexported(ovf.File{})); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
		d, format, err := p.OpenDisk(t.Context(), p.Disks[0])
		if err != nil || format != "vmdk" {
			t.Fatal(format, err)
		}
		disktest.TestReader(t, d, m.Disk)
		v := verdict(t, path)
		if diff := cmp.Diff(ovf.Verdict{State: ovf.Valid, Algorithm: "SHA256"}, v); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// TestRepacked reads archives as GNU tar makes them, in any order.
func TestRepacked(t *testing.T) {
	m, _ := made(t, ovf.OVF{}, "")
	tar := disktest.Program(t, "tar", "tar")
	for _, format := range []string{"ustar", "gnu", "pax"} {
		path := filepath.Join(t.TempDir(), "other.ova")
		disktest.Run(t, tar, "-C", m.Dir.Path(""), "--format="+format, "-cf", path,
			"./hello-jvm-disk1.vmdk", "./hello-jvm.ovf", "./hello-jvm.mf")
		p := open(t, path)
		if v := verdict(t, path); v.State != ovf.Valid {
			t.Errorf("%s: %+v", format, v)
		}
		if len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "not the first") {
			t.Errorf("%s: the notes are %q", format, p.Notes)
		}
		d, _, err := p.OpenDisk(t.Context(), p.Disks[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := disktest.Diff(d, m.Disk); err != nil {
			t.Error(err)
		}
	}
}

// edit changes a file of a package.
func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o644); err != nil {
		t.Fatal(err)
	}
}

func replace(old, new string) func([]byte) []byte {
	return func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(old), []byte(new)) }
}

func TestVerify(t *testing.T) {
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	for name, c := range map[string]struct {
		file   string
		change func([]byte) []byte
		state  string
		word   string
	}{
		"as it was":       {"hello-jvm.mf", func(b []byte) []byte { return b }, ovf.Valid, ""},
		"blanks":          {"hello-jvm.mf", replace("SHA256(", "SHA256 ("), ovf.Valid, ""},
		"capitals":        {"hello-jvm.mf", bytes.ToUpper, ovf.Broken, "HELLO-JVM"},
		"disk changed":    {"hello-jvm-disk1.vmdk", flip, ovf.Broken, "hello-jvm-disk1.vmdk has the digest"},
		"text changed":    {"hello-jvm.ovf", replace("vmx-14", "vmx-15"), ovf.Broken, "hello-jvm.ovf has the digest"},
		"unlisted":        {"hello-jvm.mf", func(b []byte) []byte { return b[:bytes.IndexByte(b, '\n')+1] }, ovf.Broken, "disk1.vmdk is not listed"},
		"empty":           {"hello-jvm.mf", func([]byte) []byte { return nil }, ovf.Broken, "is not listed"},
		"unknown digest":  {"hello-jvm.mf", replace("SHA256", "CRC"), ovf.Broken, "CRC is not known"},
		"no manifest":     {"hello-jvm.mf", replace("(", "["), ovf.Broken, "no line of a manifest"},
		"twice":           {"hello-jvm.mf", func(b []byte) []byte { return append(b, b...) }, ovf.Broken, "twice"},
		"file is missing": {"hello-jvm.mf", func(b []byte) []byte { return append(b, "SHA256(none)= 00\n"...) }, ovf.Broken, "none"},
		"escape":          {"hello-jvm.mf", func(b []byte) []byte { return append(b, "SHA256(../../etc/passwd)= 00\n"...) }, ovf.Broken, "escapes"},
	} {
		t.Run(name, func(t *testing.T) {
			m, path := made(t, ovf.OVF{}, "hello-jvm.ovf")
			edit(t, m.Dir.Path(c.file), c.change)
			v := verdict(t, path)
			if v.State != c.state || c.word != "" && !strings.Contains(strings.Join(v.Problems, "\n"), c.word) {
				t.Errorf("%+v", v)
			}
		})
	}
}

func TestNoManifest(t *testing.T) {
	m, path := made(t, ovf.OVF{}, "hello-jvm.ovf")
	if err := os.WriteFile(m.Dir.Path("hello-jvm.cert"), []byte("a signature"), 0o644); err != nil {
		t.Fatal(err)
	}
	if v := verdict(t, path); !v.Signed || v.State != ovf.Broken || !strings.Contains(v.Problems[0], "no certificate") {
		t.Errorf("with a signature by nobody: %+v", v)
	}
	if err := os.Remove(m.Dir.Path("hello-jvm.mf")); err != nil {
		t.Fatal(err)
	}
	if v := verdict(t, path); v.State != ovf.NoManifest || len(v.Problems) > 0 {
		t.Errorf("without a manifest: %+v", v)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, path = made(t, ovf.OVA{}, "hello-jvm.ova")
	if _, err := open(t, path).Verify(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestDisks opens disks that are not as they should be.
func TestDisks(t *testing.T) {
	for name, c := range map[string]struct {
		change func([]byte) []byte
		note   string
		word   string
	}{
		"compressed": {replace(`ovf:id="file1"`, `ovf:id="file1" ovf:compression="bzip2"`), "", "compressed by bzip2"},
		"no gzip":    {replace(`ovf:id="file1"`, `ovf:id="file1" ovf:compression="gzip"`), "", "unpacking hello-jvm-disk1.vmdk"},
		"chunks":     {replace(`ovf:id="file1"`, `ovf:id="file1" ovf:chunkSize="1000"`), "hello-jvm-disk1.vmdk.000000000", "hello-jvm-disk1.vmdk.000000000"},
		"missing":    {replace("hello-jvm-disk1.vmdk", "other.vmdk"), "other.vmdk", "other.vmdk"},
		"escape":     {replace("hello-jvm-disk1.vmdk", "../../../../etc/passwd"), "escapes", "escapes"},
		"absolute":   {replace("hello-jvm-disk1.vmdk", "/etc/passwd"), "escapes", "escapes"},
		"a folder":   {replace("hello-jvm-disk1.vmdk", "."), "not a regular file", "not a regular file"},
		"blank":      {replace(`ovf:fileRef="file1"`, ""), "", "no file"},
		"no disk":    {replace("hello-jvm-disk1.vmdk", "hello-jvm.mf"), "the descriptor says", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m, path := made(t, ovf.OVF{}, "hello-jvm.ovf")
			edit(t, m.Dir.Path("hello-jvm.ovf"), c.change)
			p := open(t, path)
			if c.note != "" && !strings.Contains(strings.Join(p.Notes, "\n"), c.note) {
				t.Errorf("the notes are %q", p.Notes)
			}
			if _, _, err := p.OpenDisk(t.Context(), p.Disks[0]); c.word != "" && (err == nil || !strings.Contains(err.Error(), c.word)) {
				t.Errorf("opened: %v", err)
			}
		})
	}
}

// TestEscaped reads a file whose name is written as an address.
func TestEscaped(t *testing.T) {
	m, path := made(t, ovf.OVF{}, "hello-jvm.ovf")
	edit(t, path, replace("hello-jvm-disk1.vmdk", "my%20disk%281%29.vmdk"))
	if err := os.Rename(m.Dir.Path("hello-jvm-disk1.vmdk"), m.Dir.Path("my disk(1).vmdk")); err != nil {
		t.Fatal(err)
	}
	edit(t, m.Dir.Path("hello-jvm.mf"), replace("hello-jvm-disk1.vmdk", "my disk(1).vmdk"))
	p := open(t, path)
	if _, _, err := p.OpenDisk(t.Context(), p.Disks[0]); err != nil || len(p.Notes) > 0 {
		t.Errorf("%v, %q", err, p.Notes)
	}
	v := verdict(t, path)
	if len(v.Problems) != 1 || !strings.HasPrefix(v.Problems[0], "hello-jvm.ovf has the digest") {
		t.Errorf("%+v", v)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	_, ova := made(t, ovf.OVA{}, "hello-jvm.ova")
	whole, err := os.ReadFile(ova)
	if err != nil {
		t.Fatal(err)
	}
	m, _ := made(t, ovf.OVF{}, "")
	bare := filepath.Join(dir, "bare.ova")
	disktest.Run(t, disktest.Program(t, "tar", "tar"), "-C", m.Dir.Path(""), "--format=ustar", "-cf", bare, "hello-jvm.mf")
	for name, path := range map[string]string{
		"missing":       filepath.Join(dir, "none.ova"),
		"folder":        dir,
		"empty":         file("empty.ovf", nil),
		"cut":           file("cut.ova", whole[:len(whole)/2]),
		"no descriptor": bare,
		"other XML":     file("other.ovf", []byte("<html></html>")),
		"too large":     file("large.ovf", append([]byte("<Envelope>"), make([]byte, 5<<20)...)),
	} {
		p, err := ovf.Open(path)
		if err == nil {
			p.Close()
		}
		if err == nil || fault.KindOf(err) != fault.Input || !strings.Contains(err.Error(), filepath.Base(path)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
