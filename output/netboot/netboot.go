// Package netboot writes what a machine needs to load the appliance from the
// network and to run it without a disk, from its memory:
//
//	NAME-netboot.vmlinuz   the kernel, a bzImage
//	NAME-netboot.initrd    an initramfs that holds the whole root
//	NAME-netboot.efi       both and the command line, for firmware with UEFI
//	NAME.ipxe              a script of iPXE
//	NAME.pxelinux          a configuration of PXELINUX
//
// All go into one folder of a TFTP or HTTP server. The names in the script and
// in the configuration are relative to it (iPXE: scripting; SYSLINUX: "Config",
// where KERNEL, INITRD and APPEND are explained). What the appliance writes is
// gone when it ends; the data partition of the recipe is a memory filesystem.
package netboot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/imgbuild/imgbuild/output"
)

// Format is the format for network boot.
type Format struct{}

// Name implements output.Format.
func (Format) Name() string { return "netboot" }

// Summary implements output.Format.
func (Format) Summary() string {
	return "the appliance without a disk, for iPXE, PXELINUX and UEFI from the network"
}

// Parts implements output.Asks.
func (Format) Parts() []output.Part { return []output.Part{output.RAM, output.RAMEFI} }

// New implements output.Format.
func (f Format) New(options json.RawMessage) (output.Writer, error) {
	return f, output.NoOptions(f, options)
}

// file is one of what is written: a copy of the file at path, or the text.
type file struct{ name, path, text string }

// Begin implements output.Writer.
func (f Format) Begin(_ context.Context, a output.Appliance, dir *output.Dir, _ int64) (output.Sink, error) {
	if a.Kernel.Image == "" || a.Parts[output.RAM] == "" {
		return nil, errors.New("the appliance has no root for the memory")
	}
	list := []file{
		{name: a.Name + "-netboot.vmlinuz", path: a.Kernel.Image},
		{name: a.Name + "-netboot.initrd", path: a.Parts[output.RAM]},
		{name: a.Name + ".ipxe", text: script(a)},
		{name: a.Name + ".pxelinux", text: pxelinux(a)},
	}
	if efi := a.Parts[output.RAMEFI]; efi != "" {
		info, err := os.Stat(efi)
		if err != nil {
			return nil, fmt.Errorf("looking for the EFI program: %w", err)
		}
		if info.Size() > 0 {
			list = append(list, file{name: a.Name + "-netboot.efi", path: efi})
		}
	}
	var files []*output.Pending
	for _, one := range list {
		p, err := dir.Create(one.name)
		if err == nil {
			files = append(files, p)
			err = one.fill(p)
		}
		if err != nil {
			output.AbortAll(files...)
			return nil, err
		}
	}
	return output.FilesSink(f.Name(), files...), nil
}

func (one file) fill(p *output.Pending) error {
	if one.path != "" {
		return p.Fill(one.path)
	}
	_, err := io.WriteString(p, one.text)
	return err
}

// script is for iPXE of both firmwares. The word initrd= is for that of UEFI,
// where the kernel looks for its initramfs by name; a BIOS's does not mind.
func script(a output.Appliance) string {
	return fmt.Sprintf("#!ipxe\n# %[1]s %[2]s\nkernel %[1]s-netboot.vmlinuz initrd=%[1]s-netboot.initrd %[3]s\ninitrd %[1]s-netboot.initrd\nboot\n",
		a.Name, a.Version, a.Kernel.RAMCmdline)
}

// pxelinux is the whole configuration: no prompt, no menu.
func pxelinux(a output.Appliance) string {
	return fmt.Sprintf("# %[1]s %[2]s\nDEFAULT appliance\nPROMPT 0\nTIMEOUT 0\nLABEL appliance\n"+
		"  KERNEL %[1]s-netboot.vmlinuz\n  INITRD %[1]s-netboot.initrd\n  APPEND %[3]s\n", a.Name, a.Version, a.Kernel.RAMCmdline)
}
