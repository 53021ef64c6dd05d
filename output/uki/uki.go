// Package uki writes the unified kernel image of the appliance: NAME.efi, the
// one EFI program that the boot partition has for UEFI. It holds the kernel, its
// command line, and the initramfs if there is one.
//
// It is for who has a boot partition already, a boot manager or the firmware of
// a machine (Unified Kernel Image specification of the UAPI group). The disk
// with the root is that of another output.
package uki

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
)

// Format is the format of EFI programs.
type Format struct{}

// Name implements output.Format.
func (Format) Name() string { return "uki" }

// Summary implements output.Format.
func (Format) Summary() string {
	return "unified kernel image: kernel and command line in one EFI program"
}

// Parts implements output.Asks.
func (Format) Parts() []output.Part { return []output.Part{output.EFI} }

// New implements output.Format.
func (f Format) New(options json.RawMessage) (output.Writer, error) {
	return f, output.NoOptions(f, options)
}

// Begin implements output.Writer.
func (f Format) Begin(_ context.Context, a output.Appliance, dir *output.Dir, _ int64) (output.Sink, error) {
	path := a.Parts[output.EFI]
	if path == "" {
		return nil, errors.New("the appliance has no EFI program")
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("looking for the EFI program: %w", err)
	}
	if info.Size() == 0 {
		return nil, fault.New(fault.Input, errors.New("the kernel is an ELF, which UEFI does not start"),
			"give the arch/x86/boot/bzImage of the same build")
	}
	return output.FileCopy(f.Name(), dir, a.Name+".efi", path)
}
