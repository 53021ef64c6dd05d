// Package ovm writes and reads templates for Oracle VM 3: NAME.tgz, an archive
// that holds vm.cfg and the disk, System.img.
//
// The archive is written in one pass and never lies unpacked: its length is
// known beforehand, so it is compressed like a disk, in which the zeros of
// System.img are holes.
//
// A template that somebody else made is unpacked below the folder for temporary
// files, without the zeros of its disks; one in a plain .tar is read in its
// place.
//
// Oracle VM Manager imports a template from an address: put the file on a web
// server and give the manager its URL.
package ovm

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/tarred"
)

// Names in a template.
const (
	ConfigName = "vm.cfg"
	DiskName   = "System.img"
)

// Format is the format for Oracle VM.
type Format struct{}

// Options are the options of a recipe.
type Options struct {
	// Domain is the domain type: "xen_hvm_pv_drivers" (the default), or
	// "xen_hvm" for disks whose kernel has no drivers for Xen.
	Domain string `json:"domain"`
}

const (
	withDrivers = "xen_hvm_pv_drivers"
	emulated    = "xen_hvm"
)

// Name implements output.Format.
func (Format) Name() string { return "ovm" }

// Summary implements output.Format.
func (Format) Summary() string { return "template for Oracle VM 3: vm.cfg and System.img in a .tgz" }

// New implements output.Format.
func (f Format) New(options json.RawMessage) (output.Writer, error) {
	o := Options{Domain: withDrivers}
	if err := output.DecodeOptions(f, options, &o); err != nil {
		return nil, err
	}
	if o.Domain != withDrivers && o.Domain != emulated {
		return nil, fault.New(fault.Recipe, fmt.Errorf("options of output ovm: domain: %q is not known", o.Domain),
			"choose "+withDrivers+" or "+emulated)
	}
	return writer{f, o}, nil
}

type writer struct {
	format  Format
	options Options
}

// Begin implements output.Writer.
func (w writer) Begin(_ context.Context, a output.Appliance, dir *output.Dir, size int64) (output.Sink, error) {
	head, err := describe(config(a, w.options.Domain), size, a.Created)
	if err != nil {
		return nil, err
	}
	p, err := dir.Create(a.Name + ".tgz")
	if err != nil {
		return nil, err
	}
	s, err := tarred.Packed(p, head, size)
	if err != nil {
		p.Abort()
		return nil, err
	}
	return output.FileSink(w.format.Name(), p, s), nil
}

// describe returns the archive up to the first byte of the disk.
func describe(config []byte, size int64, when time.Time) ([]byte, error) {
	head, err := tarred.Member(ConfigName, config, when)
	if err != nil {
		return nil, err
	}
	header, err := tarred.File(DiskName, size, when)
	return append(head, header...), err
}
