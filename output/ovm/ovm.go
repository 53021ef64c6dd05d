// Package ovm writes and reads templates for Oracle VM 3: NAME.tgz, an archive
// that holds vm.cfg and the disk, System.img; further ones are Disk2.img and so
// on.
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

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/tarred"
)

// ConfigName is the name of the configuration in a template.
const ConfigName = "vm.cfg"

// DiskName is the name of the disk i in a template.
func DiskName(i int) string {
	if i == 0 {
		return "System.img"
	}
	return fmt.Sprintf("Disk%d.img", i+1)
}

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
func (w writer) Begin(ctx context.Context, a output.Appliance, dir *output.Dir, size int64) (output.Sink, error) {
	m := machine{a, w.options.Domain}
	if n, most := 1+len(a.Disks), m.maxDisks(); n > most {
		return nil, fault.New(fault.Usage, fmt.Errorf("a machine with %d disks does not fit: %d are the most of domain type %s", n, most, m.domain))
	}
	head, err := tarred.Member(ConfigName, m.config(), a.Created)
	if err != nil {
		return nil, err
	}
	length := int64(len(head)) + tarred.Block + tarred.Blocks(size)
	for _, d := range a.Disks {
		length += tarred.Block + tarred.Blocks(d.Size())
	}
	p, err := dir.Create(a.Name + ".tgz")
	if err != nil {
		return nil, err
	}
	p.HoldsDisk()
	archive, err := tarred.NewPacked(p, length)
	if err != nil {
		p.Abort()
		return nil, err
	}
	s := &sink{format: w.format, file: p, archive: archive}
	s.more = func() error { return s.addDisks(ctx, a) }
	if err = archive.Add(head); err == nil {
		s.Sink, err = s.disk(0, size, a.Created)
	}
	if err != nil {
		s.Abort()
		return nil, err
	}
	return s, nil
}
