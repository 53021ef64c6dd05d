package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/kernel"
	"github.com/imgbuild/imgbuild/vm"
)

// TestELFKernel wraps an ELF, which no firmware starts, for targets that take
// one, and boots it to the app's answer.
func TestELFKernel(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds and boots")
	}
	made := os.Getenv("IMGBUILD_TEST_KERNEL")
	if made == "" {
		lacks(t, "IMGBUILD_TEST_KERNEL names no kernel: make test sets it")
	}
	binary, err := server()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	elf := filepath.Join(dir, "vmlinux")
	extractKernel(t, made, elf)
	recipe := filepath.Join(dir, "elf.yaml")
	text := "apiVersion: imgbuild/v1\nname: elf\nkernel: {file: vmlinux}\nruntime: none\ntargets: [pvh, xen-pv, xen-pvh-direct]\n" +
		"app: {binary: " + binary + ", args: [\":8080\"], ports: [8080]}\noutputs: [raw]\n"
	if err := os.WriteFile(recipe, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	imgbuild(t, "build", recipe, "-o", out)
	boots(t, vm.Options{Disk: filepath.Join(out, "elf.raw"), Boot: vm.PVH, Memory: 128 << 20})
}

// extractKernel writes the ELF within a kernel.
func extractKernel(t *testing.T, from, to string) {
	t.Helper()
	f, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	elf, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer elf.Close()
	if err := kernel.ExtractELF(t.Context(), f, info.Size(), elf); err != nil {
		t.Fatal(err)
	}
}
