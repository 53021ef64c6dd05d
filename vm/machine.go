package vm

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/imgbuild/imgbuild/fault"
)

// Machine is a virtual machine that can be started, any number of times.
type Machine struct{ options Options }

// New returns a machine. Options that contradict each other are a fault of
// kind Usage; all of them are told at once.
func New(o Options) (*Machine, error) {
	o.Ports = slices.Clone(o.Ports)
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	return &Machine{options: o}, nil
}

// Start starts the machine and returns when QEMU runs it. The machine is ended
// when ctx is. A missing program or firmware is a fault of kind Environment
// that names the Debian package; what QEMU refuses is one with its own words.
func (m *Machine) Start(ctx context.Context) (*Running, error) {
	o := m.options
	var err error
	if o.QEMU, err = findQEMU(o.QEMU); err != nil {
		return nil, err
	}
	if o.Disk != "" && o.Format == "" {
		if o.Format, err = formatOf(o.Disk); err != nil {
			return nil, err
		}
	}
	reason := "chosen"
	if o.Accel == Auto && o.Boot.onXen() {
		o.Accel, reason = TCG, "Xen's own virtualisation is emulated"
	} else if o.Accel == Auto {
		if o.Accel, reason, err = probe(ctx, o.QEMU, o.Cache); err != nil {
			return nil, err
		}
	}
	scratch, err := os.MkdirTemp(o.Scratch, "imgbuild-vm-")
	if err != nil {
		return nil, fault.New(fault.Environment, fmt.Errorf("making a scratch folder: %w", err))
	}
	f, err := prepare(ctx, o, scratch)
	if err == nil {
		err = prepareSecond(&f, o, scratch)
	}
	if err == nil && len(o.CD) > 0 {
		f.cd = filepath.Join(scratch, "cd.iso")
		err = fault.New(fault.Environment, os.WriteFile(f.cd, o.CD, 0o600))
	}
	if err != nil {
		os.RemoveAll(scratch)
		return nil, err
	}
	r := newRunning(o, reason)
	if err := r.launch(ctx, f, func() { os.RemoveAll(scratch) }); err != nil {
		return nil, err
	}
	return r, nil
}

// findQEMU returns the path of the program.
func findQEMU(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fault.New(fault.Environment, fmt.Errorf("looking for QEMU: %w", err),
			"install the package qemu-system-x86")
	}
	return path, nil
}

// prepare finds or makes the files that the machine boots with. What it makes
// is in scratch.
func prepare(ctx context.Context, o Options, scratch string) (files, error) {
	var f files
	switch o.Boot {
	case UEFI:
		return f, prepareFirmware(&f, knownFirmware(), scratch)
	case Direct, PVH:
		return f, prepareKernel(ctx, &f, o, scratch)
	}
	if o.Boot.onXen() {
		return f, prepareXen(ctx, &f, o, scratch)
	}
	return f, nil
}
