package uki_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/fault"
	program "github.com/imgbuild/imgbuild/kernel/uki"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/uki"
)

// appliance has an EFI program that a small file system cannot hold.
func appliance(t *testing.T) output.Appliance {
	t.Helper()
	const path = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"
	stub, err := os.ReadFile(path)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the EFI stub is missing: install the package systemd-boot-efi: %v", err)
		}
		t.Skipf("apt-get install systemd-boot-efi: %v", err)
	}
	efi, err := program.Build(program.Image{
		Stub: stub, OSRelease: []byte("ID=hello-jvm\n"), Cmdline: "console=ttyS0", Kernel: bytes.Repeat([]byte("kernel"), 50_000),
	})
	if err != nil {
		t.Fatal(err)
	}
	a := outputtest.Appliance()
	a.Parts = map[output.Part]string{output.EFI: filepath.Join(t.TempDir(), "program")}
	if err := os.WriteFile(a.Parts[output.EFI], efi, 0o400); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestFormat(t *testing.T) {
	outputtest.Test(t, outputtest.Format{
		Format: uki.Format{}, Appliance: appliance(t), Files: []string{"hello-jvm.efi"}, Check: check,
	})
}

// check lets objdump list the sections.
func check(t *testing.T, m outputtest.Made) {
	text := disktest.Run(t, disktest.Program(t, "objdump", "binutils"), "-h", m.Dir.Path("hello-jvm.efi"))
	for _, section := range []string{"osrel", "cmdline", "linux"} {
		if !regexp.MustCompile(`(?m)^ +\d+ \.` + section + ` `).MatchString(text) {
			t.Errorf("objdump finds no .%s:\n%s", section, text)
		}
	}
}

// TestNothingToWrite has no program, or that of a kernel which UEFI does not
// start.
func TestNothingToWrite(t *testing.T) {
	none, elf := outputtest.Appliance(), outputtest.Appliance()
	elf.Parts = map[output.Part]string{output.EFI: filepath.Join(t.TempDir(), "empty")}
	if err := os.WriteFile(elf.Parts[output.EFI], nil, 0o400); err != nil {
		t.Fatal(err)
	}
	for message, a := range map[string]output.Appliance{"has no EFI program": none, "is an ELF": elf} {
		d, err := output.OpenDir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		selected := []output.Selected{{Format: uki.Format{}, Writer: uki.Format{}}}
		files, err := output.Write(t.Context(), a, disk.NewMemory(1<<20), d, selected, nil)
		if err == nil || !strings.Contains(err.Error(), message) || len(files) > 0 {
			t.Errorf("%v, %v; want %q", files, err, message)
		}
		if message == "is an ELF" && fault.KindOf(err) != fault.Input {
			t.Errorf("the kind is %d", fault.KindOf(err))
		}
	}
}
