package vm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/kernel/uki"
)

// bootDisk makes a disk with the tools of Debian: GPT, a FAT partition with
// SYSLINUX and, where its stub is installed, a unified kernel image for UEFI.
func bootDisk(t *testing.T, mode string) (path string, uefi bool) {
	t.Helper()
	linux, initramfs := guestKernel(t), guestInitramfs(t)
	for program, pkg := range map[string]string{"sfdisk": "fdisk", "mkfs.fat": "dosfstools", "mcopy": "mtools", "syslinux": "syslinux"} {
		need(t, program, pkg)
	}
	dir := t.TempDir()
	path = filepath.Join(dir, "boot.raw")
	cmdline := "console=hvc0 console=ttyS0 quiet ip=dhcp guest=" + mode
	menu := filepath.Join(dir, "syslinux.cfg")
	write(t, menu, []byte("DEFAULT a\nLABEL a\n  LINUX /vmlinuz\n  INITRD /initramfs\n  APPEND "+cmdline+"\n"))
	write(t, path, nil)
	if err := os.Truncate(path, 48<<20); err != nil {
		t.Fatal(err)
	}
	sfdisk := exec.Command("sfdisk", "-q", path)
	sfdisk.Stdin = strings.NewReader("label: gpt\nstart=2048, size=90112, type=U, attrs=LegacyBIOSBootable\n")
	at := path + "@@1M"
	mustRun(t, sfdisk)
	mustRun(t, exec.Command("mkfs.fat", "-F", "16", "--offset", "2048", path, "45056"))
	mustRun(t, exec.Command("mcopy", "-i", at, linux, "::/vmlinuz"))
	mustRun(t, exec.Command("mcopy", "-i", at, initramfs, "::/initramfs"))
	mustRun(t, exec.Command("mcopy", "-i", at, menu, "::/syslinux.cfg"))
	mustRun(t, exec.Command("mcopy", "-i", at, "/usr/lib/syslinux/modules/bios/ldlinux.c32", "::/"))
	mustRun(t, exec.Command("syslinux", "--offset", fmt.Sprint(1<<20), "-i", path))
	mbr, err := os.ReadFile("/usr/lib/SYSLINUX/gptmbr.bin")
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(mbr, 0); err != nil {
		t.Fatal(err)
	}
	return path, addUKI(t, at, linux, initramfs, cmdline)
}

// addUKI puts a unified kernel image where UEFI looks for one.
func addUKI(t *testing.T, at, linux, initramfs, cmdline string) bool {
	t.Helper()
	stub, err := os.ReadFile("/usr/lib/systemd/boot/efi/linuxx64.efi.stub")
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	image := uki.Image{Stub: stub, Cmdline: cmdline, OSRelease: []byte("ID=test\n")}
	for path, field := range map[string]*[]byte{linux: &image.Kernel, initramfs: &image.Initramfs} {
		if *field, err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	b, err := uki.Build(image)
	if err != nil {
		t.Fatal(err)
	}
	efi := filepath.Join(t.TempDir(), "BOOTX64.EFI")
	write(t, efi, b)
	mustRun(t, exec.Command("mmd", "-i", at, "::/EFI", "::/EFI/BOOT"))
	mustRun(t, exec.Command("mcopy", "-i", at, efi, "::/EFI/BOOT/"))
	return true
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func mustRun(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
}

// One disk boots by every road, and is not changed by it.
func TestEveryRoad(t *testing.T) {
	t.Parallel()
	path, uefi := bootDisk(t, "exit")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	qcow2 := filepath.Join(t.TempDir(), "boot")
	mustRun(t, exec.Command(need(t, "qemu-img", "qemu-utils"), "convert", "-O", "qcow2", path, qcow2))
	for _, test := range []struct {
		name string
		o    Options
	}{
		{"bios", Options{Disk: path}},
		{"bios from qcow2 on pc and ide", Options{Disk: qcow2, Machine: PC, Bus: IDE}},
		{"bios from nvme", Options{Disk: path, Bus: NVMe}},
		{"uefi", Options{Disk: path, Boot: UEFI, Bus: AHCI}},
		{"direct from qcow2", Options{Disk: qcow2, Boot: Direct, Bus: SCSI}},
		{"pvh", Options{Disk: path, Boot: PVH, Bus: PVSCSI}},
		{"microvm", Options{Disk: path, Boot: PVH, Machine: MicroVM}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.o.Boot == UEFI && !uefi {
				t.Skip("the stub of unified kernel images is missing: install the package systemd-boot-efi")
			}
			test.o.Accel, test.o.Memory = TCG, 256<<20
			r := start(t.Context(), t, test.o)
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			defer cancel()
			exit, err := r.Wait(ctx)
			if err != nil || exit.App == nil || exit.App.Code != 3 {
				t.Errorf("Wait = %+v, %v; want status 3%s", exit, err, quote(r.Console().Tail(20)))
			}
		})
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Error("the machine changed the disk")
	}
}

func TestKernelOfDisk(t *testing.T) {
	t.Parallel()
	path, _ := bootDisk(t, "exit")
	var f files
	o := Options{Disk: path, Boot: Direct}.withDefaults()
	dir := t.TempDir()
	if err := prepareKernel(t.Context(), &f, o, dir); err != nil {
		t.Fatal(err)
	}
	if want := "console=hvc0 console=ttyS0 quiet ip=dhcp guest=exit"; f.cmdline != want {
		t.Errorf("cmdline = %q, want %q", f.cmdline, want)
	}
	same(t, f.kernel, guestKernel(t))
	same(t, f.initramfs, guestInitramfs(t))
}

func same(t *testing.T, got, want string) {
	t.Helper()
	a, aerr := os.ReadFile(got)
	b, berr := os.ReadFile(want)
	if err := errors.Join(aerr, berr); err != nil {
		t.Fatal(err)
	}
	if string(a) != string(b) {
		t.Errorf("%s is not %s", got, want)
	}
}

func TestDiskWithoutKernel(t *testing.T) {
	t.Parallel()
	need(t, DefaultQEMU, "qemu-system-x86")
	for _, o := range []Options{
		{Disk: emptyDisk(t), Boot: Direct},
		{Disk: emptyDisk(t), Boot: PVH},
		{Disk: filepath.Join(t.TempDir(), "none.raw")},
	} {
		o.Accel = TCG
		m, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Start(t.Context()); fault.KindOf(err) != fault.Input {
			t.Errorf("Start(%s) = %v, want an input fault", o.Boot, err)
		}
	}
}

func TestFormatOf(t *testing.T) {
	t.Parallel()
	qemuImg := need(t, "qemu-img", "qemu-utils")
	for _, test := range []struct{ name, create, options, want string }{
		{"raw", "raw", "", "raw"},
		{"qcow2", "qcow2", "", "qcow2"},
		{"sparse vmdk", "vmdk", "", "vmdk"},
		{"streamOptimized vmdk", "vmdk", "subformat=streamOptimized", "vmdk"},
		{"vhdx", "vhdx", "", "vhdx"},
		{"dynamic vhd", "vpc", "", "vpc"},
		{"fixed vhd", "vpc", "subformat=fixed", "vpc"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "disk")
			args := []string{"create", "-q", "-f", test.create}
			if test.options != "" {
				args = append(args, "-o", test.options)
			}
			mustRun(t, exec.Command(qemuImg, append(args, path, "8M")...))
			if got, err := formatOf(path); err != nil || got != test.want {
				t.Errorf("formatOf = %q, %v; want %q", got, err, test.want)
			}
		})
	}
}
