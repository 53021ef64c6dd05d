package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/disk/part"
	"github.com/imgbuild/imgbuild/vm"
)

// simpleAppliance builds the appliance that is built soonest, with these flags and
// outputs, and returns the folder of these.
func simpleAppliance(t *testing.T, outputs string, more ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("it builds and boots")
	}
	binary, err := server()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	recipe := filepath.Join(dir, "simple.yaml")
	text := fmt.Sprintf(simple, binary) + "outputs: " + outputs + "\n"
	if err := os.WriteFile(recipe, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"build", recipe, "-o", filepath.Join(dir, "out"), "--set", "app.args=[':8080']", "--set", "app.ports=[8080]"}
	imgbuild(t, append(args, more...)...)
	return filepath.Join(dir, "out")
}

// TestUKI compares the EFI program that a build writes with the one on the boot
// partition, and boots a disk whose boot partition holds nothing else.
func TestUKI(t *testing.T) {
	out := simpleAppliance(t, "[raw, uki]")
	raw, efi := filepath.Join(out, "simple.raw"), filepath.Join(out, "simple.efi")
	mcopy := disktest.Program(t, "mcopy", "mtools")
	boot := bootPartition(t, raw)
	there := filepath.Join(t.TempDir(), "there.efi")
	disktest.Run(t, mcopy, "-i", fmt.Sprintf("%s@@%d", raw, boot.Off), "::EFI/BOOT/BOOTX64.EFI", there)
	disktest.Run(t, disktest.Program(t, "cmp", "diffutils"), there, efi)

	fat := filepath.Join(t.TempDir(), "fat")
	disktest.Run(t, disktest.Program(t, "mkfs.fat", "dosfstools"), "-F", "16", "-C", fat, fmt.Sprint(boot.Len>>10))
	disktest.Run(t, disktest.Program(t, "mmd", "mtools"), "-i", fat, "::EFI", "::EFI/BOOT")
	disktest.Run(t, mcopy, "-i", fat, efi, "::EFI/BOOT/BOOTX64.EFI")
	disktest.Run(t, disktest.Program(t, "dd", "coreutils"), "if="+fat, "of="+raw, "bs=64K", fmt.Sprintf("seek=%d", boot.Off>>16), "conv=notrunc", "status=none")
	boots(t, vm.Options{Disk: raw, Boot: vm.UEFI})
}

// bootPartition is where the first partition of a disk lies.
func bootPartition(t *testing.T, path string) disk.Extent {
	t.Helper()
	f, err := disk.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table, err := part.Parse(f)
	if err != nil || table == nil || len(table.Entries) < 2 {
		t.Fatalf("the partition table is %+v, %v", table, err)
	}
	return table.Entries[0].Extent
}

// boots starts a machine and gets the app's answer.
func boots(t *testing.T, o vm.Options) {
	t.Helper()
	o.Ports = []vm.Forward{{Guest: 8080}}
	m, err := vm.New(o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Kill()
	answer(t, r)
	if err := r.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
