package vm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/imgbuild/imgbuild/fault"
)

// knownFirmware are the pairs of code and variables that distributions install, the
// likeliest first: Debian, Fedora, Arch, openSUSE.
func knownFirmware() []ovmf {
	return []ovmf{
		{"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
		{"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
		{"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},
		{"/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"},
		{"/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin"},
	}
}

// ovmf is a UEFI firmware: its code, and the variables it begins with.
type ovmf struct{ code, vars string }

// prepareFirmware finds a firmware and copies its variables: the guest writes
// to them, and no two machines share them.
func prepareFirmware(f *files, known []ovmf, scratch string) error {
	for _, fw := range known {
		if _, err := os.Stat(fw.code); err != nil {
			continue
		}
		vars, err := os.ReadFile(fw.vars)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fault.New(fault.Environment, fmt.Errorf("reading the firmware's variables: %w", err))
		}
		f.firmwareCode, f.firmwareVars = fw.code, filepath.Join(scratch, "vars.fd")
		if err := os.WriteFile(f.firmwareVars, vars, 0o600); err != nil {
			return fault.New(fault.Environment, fmt.Errorf("copying the firmware's variables: %w", err))
		}
		return nil
	}
	return fault.New(fault.Environment, errors.New("looking for UEFI firmware: none is installed"),
		"install the package ovmf")
}
