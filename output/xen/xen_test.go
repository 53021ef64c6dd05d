package xen_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/xen"
)

var plain = []string{"hello-jvm-xen.raw", "hello-jvm.hvm.cfg", "hello-jvm.pv.cfg", "hello-jvm.pvh.cfg"}

func TestFormat(t *testing.T) {
	outputtest.Test(t, outputtest.Format{Format: xen.Format{}, Files: plain, Check: check})
}

func TestFormatWithKernel(t *testing.T) {
	outputtest.Test(t, outputtest.Format{Format: xen.Format{}, Appliance: withKernel(t), Files: []string{
		"hello-jvm-xen.initrd", "hello-jvm-xen.raw", "hello-jvm-xen.vmlinuz", "hello-jvm.hvm.cfg",
		"hello-jvm.pv-direct.cfg", "hello-jvm.pv.cfg", "hello-jvm.pvh-direct.cfg", "hello-jvm.pvh.cfg",
	}, Check: check})
}

func withKernel(t *testing.T) output.Appliance {
	t.Helper()
	a, dir := outputtest.Appliance(), t.TempDir()
	a.Kernel.Image, a.Kernel.Initramfs = filepath.Join(dir, "kernel"), filepath.Join(dir, "initramfs")
	for path, text := range map[string]string{a.Kernel.Image: "a kernel", a.Kernel.Initramfs: "an initramfs"} {
		if err := os.WriteFile(path, bytes.Repeat([]byte(text), 10_000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// check reads the disk and the kernel back.
func check(t *testing.T, m outputtest.Made) {
	d, err := disk.OpenFile(m.Dir.Path("hello-jvm-xen.raw"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	disktest.TestReader(t, d, m.Disk)
	for suffix, path := range map[string]string{".vmlinuz": m.Appliance.Kernel.Image, ".initrd": m.Appliance.Kernel.Initramfs} {
		if path == "" {
			continue
		}
		want, err := os.ReadFile(path)
		got, gotErr := os.ReadFile(m.Dir.Path("hello-jvm-xen" + suffix))
		if err != nil || gotErr != nil || !bytes.Equal(want, got) {
			t.Errorf("%s is not what it was: %v, %v", suffix, err, gotErr)
		}
	}
}

// TestXL lets xl read every configuration, and compares what it understood.
func TestXL(t *testing.T) {
	xl := outputtest.NewXL(t)
	a := withKernel(t)
	a.Kernel.Cmdline = `console=hvc0 console=ttyS0 root=PARTUUID=1 opt="a \b" ro`
	m := outputtest.Write(t, outputtest.Format{Format: xen.Format{}, Appliance: a, Options: `{"bridge":"br7","grub":"/opt/grub"}`}, "1 MiB")
	kernels := map[string]string{
		"pvh": "/opt/grub/grub-i386-xen_pvh.bin", "pv": "/opt/grub/grub-x86_64-xen.bin", "hvm": "",
		"pvh-direct": "hello-jvm-xen.vmlinuz", "pv-direct": "hello-jvm-xen.vmlinuz",
	}
	for mode, kernel := range kernels {
		g := xl.Parse(t, m.Dir.Path("hello-jvm."+mode+".cfg"))
		kind, _, direct := strings.Cut(mode, "-")
		if g.Info.Type != kind || g.Info.Name != "hello-jvm" || g.Build.VCPUs != 2 || g.Build.MemoryKiB != 250<<10 || g.Build.Kernel != kernel {
			t.Errorf("%s: %+v", mode, g)
		}
		device := "xvda"
		if kind == "hvm" {
			device = "sda"
		}
		if len(g.Disks) != 1 || g.Disks[0].Path != "hello-jvm-xen.raw" || g.Disks[0].Device != device || g.Disks[0].Format != "raw" || g.Disks[0].ReadWrite != 1 {
			t.Errorf("%s: the disks are %+v", mode, g.Disks)
		}
		if len(g.NICs) != 1 || g.NICs[0].Bridge != "br7" || kind == "hvm" && g.NICs[0].Type != "vif" {
			t.Errorf("%s: the cards are %+v", mode, g.NICs)
		}
		cmdline, ramdisk := "", ""
		if direct {
			cmdline, ramdisk = `console=ttyS0 console=hvc0 root=PARTUUID=1 opt="a \b" ro`, "hello-jvm-xen.initrd"
		}
		if g.Build.Cmdline != cmdline || g.Build.Ramdisk != ramdisk {
			t.Errorf("%s: the command line is %q, the initramfs %q", mode, g.Build.Cmdline, g.Build.Ramdisk)
		}
		if h := g.Build.HVM; kind == "hvm" && (h.BIOS != "" || h.HDType != "" || h.Serial != "pty" || h.Boot != "c") {
			t.Errorf("%s: %+v", mode, h)
		}
	}
	a.Firmware = "uefi"
	m = outputtest.Write(t, outputtest.Format{Format: xen.Format{}, Appliance: a}, "1 MiB")
	if g := xl.Parse(t, m.Dir.Path("hello-jvm.hvm.cfg")); g.Build.HVM.BIOS != "ovmf" || g.Disks[0].Device != "xvda" {
		t.Errorf("the firmware is %q, the disks %+v", g.Build.HVM.BIOS, g.Disks)
	}
}

// TestFolder writes names that are found from anywhere.
func TestFolder(t *testing.T) {
	xl := outputtest.NewXL(t)
	m := outputtest.Write(t, outputtest.Format{Format: xen.Format{}, Appliance: withKernel(t), Options: `{"folder":"/srv/my guests"}`}, "1 MiB")
	g := xl.Parse(t, m.Dir.Path("hello-jvm.pvh-direct.cfg"))
	if g.Build.Kernel != "/srv/my guests/hello-jvm-xen.vmlinuz" || g.Build.Ramdisk != "/srv/my guests/hello-jvm-xen.initrd" || g.Disks[0].Path != "/srv/my guests/hello-jvm-xen.raw" {
		t.Errorf("%+v", g)
	}
	for _, folder := range []string{"guests", "/a,b"} {
		_, err := xen.Format{}.New(json.RawMessage(`{"folder":"` + folder + `"}`))
		if fault.KindOf(err) != fault.Recipe || len(fault.HintsOf(err)) == 0 {
			t.Errorf("%s: %v", folder, err)
		}
	}
}

// TestSeveralDisks lets xl read of a machine with three, and reads the last one
// back.
func TestSeveralDisks(t *testing.T) {
	a := outputtest.Appliance()
	blank, last := disk.NewMemory(3<<20), disk.NewMemory(1<<20)
	if _, err := last.WriteAt([]byte("last"), 5000); err != nil {
		t.Fatal(err)
	}
	a.Disks = []disk.Reader{blank, last}
	outputtest.Test(t, outputtest.Format{Format: xen.Format{}, Appliance: a, Files: append([]string{"hello-jvm-xen-disk2.raw", "hello-jvm-xen-disk3.raw"}, plain...), Check: check})
	m := outputtest.Write(t, outputtest.Format{Format: xen.Format{}, Appliance: a}, "1 MiB")
	for i, want := range a.Disks {
		d, err := disk.OpenFile(m.Dir.Path([]string{"hello-jvm-xen-disk2.raw", "hello-jvm-xen-disk3.raw"}[i]))
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if err := disktest.Diff(d, want); err != nil {
			t.Error(err)
		}
	}
	xl := outputtest.NewXL(t)
	for mode, device := range map[string]string{"hvm": "sdc", "pv": "xvdc", "pvh": "xvdc"} {
		g := xl.Parse(t, m.Dir.Path("hello-jvm."+mode+".cfg"))
		if len(g.Disks) != 3 || g.Disks[2].Device != device || g.Disks[2].Path != "hello-jvm-xen-disk3.raw" {
			t.Errorf("%s: the disks are %+v", mode, g.Disks)
		}
	}
}

// TestDoesNotFit refuses what xl could not be told.
func TestDoesNotFit(t *testing.T) {
	many, comma := outputtest.Appliance(), outputtest.Appliance()
	many.Disks = slices.Repeat([]disk.Reader{disk.NewMemory(1 << 20)}, 7)
	comma.Name = "a,b"
	for _, a := range []output.Appliance{many, comma} {
		d, err := output.OpenDir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		w, err := xen.Format{}.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Begin(t.Context(), a, d, 1<<20); fault.KindOf(err) != fault.Usage {
			t.Errorf("%s with %d disks: %v", a.Name, 1+len(a.Disks), err)
		}
	}
}

func TestKernelMissing(t *testing.T) {
	a := outputtest.Appliance()
	a.Kernel.Image = filepath.Join(t.TempDir(), "none")
	dir := t.TempDir()
	d, err := output.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	w, err := xen.Format{}.New(json.RawMessage("{}"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := output.Write(t.Context(), a, disk.NewMemory(1<<20), d, []output.Selected{{Format: xen.Format{}, Writer: w}}, nil)
	if left, _ := os.ReadDir(dir); err == nil || len(files)+len(left) > 0 {
		t.Errorf("%v, %v, %v", files, left, err)
	}
}
