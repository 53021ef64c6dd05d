// Package xen writes the disk for Xen with configurations of xl (xl.cfg(5)),
// one for each way in which a guest can run:
//
//	NAME-xen.raw          the disk, a sparse file; NAME-xen-disk2.raw and so on
//	                      those that follow it
//	NAME.pvh.cfg          PVH, GRUB-for-Xen reads the disk's menu
//	NAME.pv.cfg           PV, the same way
//	NAME.hvm.cfg          HVM, by firmware and the disk's boot loader
//	NAME.pvh-direct.cfg   PVH, xl loads the kernel
//	NAME.pv-direct.cfg    PV, xl loads the kernel
//	NAME-xen.vmlinuz      that kernel, and its initramfs, NAME-xen.initrd
//
// The last four are there when the appliance has a kernel of its own. File
// names are relative, so xl is called in their folder:
//
//	xl create -c NAME.pvh.cfg
//
// When the guest reboots, xl creates it anew, from the root folder: it does not
// find relative names then, and the guest is gone (xl 4.17). The option Folder
// makes them absolute.
package xen

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/raw"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
)

// Format is the format for xl.
type Format struct{}

// Options are the options of a recipe.
type Options struct {
	// Grub is the folder of GRUB-for-Xen on the host; by default where
	// Debian's package grub-xen-host has it.
	Grub string `json:"grub"`
	// Folder is where the host has the files, an absolute path; by default
	// names are relative.
	Folder string `json:"folder"`
	// Bridge is the host's bridge that the network card is on; by default
	// what xl is configured for.
	Bridge string `json:"bridge"`
}

// Name implements output.Format.
func (Format) Name() string { return "xen" }

// Summary implements output.Format.
func (Format) Summary() string { return "raw disk with configurations of xl for PVH, PV and HVM" }

// New implements output.Format.
func (f Format) New(options json.RawMessage) (output.Writer, error) {
	o := Options{Grub: "/usr/lib/grub-xen"}
	if err := output.DecodeOptions(f, options, &o); err != nil {
		return nil, err
	}
	if o.Folder != "" && !path.IsAbs(o.Folder) || strings.ContainsAny(o.Folder, ",\n") {
		return nil, fault.New(fault.Recipe, fmt.Errorf("options of output xen: folder: %q is no absolute path", o.Folder),
			"give the folder of the host that the files are copied to; a comma cannot be in its name")
	}
	return writer{f, o}, nil
}

type writer struct {
	format  Format
	options Options
}

// Begin implements output.Writer.
func (w writer) Begin(ctx context.Context, a output.Appliance, dir *output.Dir, size int64) (output.Sink, error) {
	if n := 1 + len(a.Disks); n > maxDisks {
		return nil, fault.New(fault.Usage, fmt.Errorf("a machine with %d disks does not fit: %d are the most", n, maxDisks))
	}
	if strings.Contains(a.Name, ",") { // it would end the name of a disk, for xl
		return nil, fault.New(fault.Usage, fmt.Errorf("the name %s has a comma", a.Name), "choose another name")
	}
	s := sink{output.NewSetSink(w.format.Name(), dir)}
	g := guest{Options: w.options, Appliance: a}
	err := s.addKernel(&g)
	if err == nil {
		err = s.addConfigs(g)
	}
	if err == nil {
		err = s.addDisk(g.diskName(0), size)
	}
	if err != nil {
		s.Abort()
		return nil, err
	}
	s.Follow(ctx, a.Disks, g.diskName, create)
	return s, nil
}

// sink takes the disk; its other files are complete when it begins.
type sink struct{ *output.SetSink }

// addKernel copies the kernel and its initramfs, if there are any.
func (s sink) addKernel(g *guest) error {
	for _, part := range []struct {
		path, suffix string
		name         *string
	}{{g.Kernel.Image, ".vmlinuz", &g.kernel}, {g.Kernel.Initramfs, ".initrd", &g.initramfs}} {
		if g.Kernel.Image == "" || part.path == "" {
			continue
		}
		*part.name = g.Name + "-xen" + part.suffix
		p, err := s.Create(*part.name)
		if err != nil {
			return err
		}
		if err := copyFile(p, part.path); err != nil {
			return fmt.Errorf("copying the kernel: %w", err)
		}
	}
	return nil
}

func (s sink) addConfigs(g guest) error {
	for _, m := range g.modes() {
		p, err := s.Create(g.Name + "." + m.name + ".cfg")
		if err != nil {
			return err
		}
		if _, err := p.Write(g.config(m)); err != nil {
			return err
		}
	}
	return nil
}

func (s sink) addDisk(name string, size int64) error {
	p, err := s.Create(name)
	if err != nil {
		return err
	}
	p.HoldsDisk()
	if err := s.Encode(create(p, size)); err != nil {
		return fmt.Errorf("making room for %d bytes: %w", size, err)
	}
	return nil
}

func create(p *output.Pending, size int64) (disk.Sink, error) { return raw.Create(p.File, size) }

func copyFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}
