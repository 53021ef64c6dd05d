// Package kernel writes what a hypervisor needs to boot the appliance's kernel
// itself, without the boot loader on the disk:
//
//	NAME.vmlinuz   the kernel, a bzImage
//	NAME.initrd    the initramfs, when the kernel has one
//	NAME.cmdline   the command line, one line
//
// The disk is that of another output: raw or qcow2 for QEMU and Firecracker,
// raw for Xen. For QEMU that is
//
//	qemu-system-x86_64 -kernel NAME.vmlinuz -append "$(cat NAME.cmdline)" …
package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"io"

	"github.com/imgbuild/imgbuild/output"
)

// Format is the kernel format.
type Format struct{}

// Name implements output.Format.
func (Format) Name() string { return "kernel" }

// Summary implements output.Format.
func (Format) Summary() string {
	return "kernel and command line, for hypervisors that boot them directly"
}

// New implements output.Format.
func (f Format) New(options json.RawMessage) (output.Writer, error) {
	if err := output.NoOptions(f, options); err != nil {
		return nil, err
	}
	return f, nil
}

// Begin implements output.Writer.
func (f Format) Begin(_ context.Context, a output.Appliance, dir *output.Dir, _ int64) (output.Sink, error) {
	if a.Kernel.Image == "" {
		return nil, errors.New("the appliance has no kernel of its own")
	}
	var files []*output.Pending
	for _, part := range []struct {
		suffix, path, text string
	}{
		{suffix: ".vmlinuz", path: a.Kernel.Image},
		{suffix: ".initrd", path: a.Kernel.Initramfs},
		{suffix: ".cmdline", text: a.Kernel.Cmdline + "\n"},
	} {
		if part.path == "" && part.text == "" {
			continue
		}
		p, err := dir.Create(a.Name + part.suffix)
		if err == nil {
			files = append(files, p)
			err = fill(p, part.path, part.text)
		}
		if err != nil {
			output.AbortAll(files...)
			return nil, err
		}
	}
	return output.FilesSink(f.Name(), files...), nil
}

// fill writes the file at path, or else the text.
func fill(p *output.Pending, path, text string) error {
	if path != "" {
		return p.Fill(path)
	}
	_, err := io.WriteString(p, text)
	return err
}
