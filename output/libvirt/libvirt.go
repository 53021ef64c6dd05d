// Package libvirt writes the disk and a machine for libvirt:
// NAME-libvirt.qcow2, and NAME-libvirt.xml, which `virsh define` takes.
//
// libvirt wants the absolute path of the disk; the description says where it
// expects it, which is libvirt's own folder of images unless the options name
// another:
//
//	cp NAME-libvirt.qcow2 /var/lib/libvirt/images/
//	virsh define NAME-libvirt.xml && virsh start NAME
package libvirt

import (
	"context"
	"encoding/json"
	"fmt"
	"path"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/qcow2"
)

// Format is the libvirt format.
type Format struct{}

// Options are the options of a recipe.
type Options struct {
	// Images is the folder in which the host has the disk.
	Images string `json:"images"`
}

// Name implements output.Format.
func (Format) Name() string { return "libvirt" }

// Summary implements output.Format.
func (Format) Summary() string { return "qcow2 and a domain for libvirt" }

// New implements output.Format.
func (f Format) New(options json.RawMessage) (output.Writer, error) {
	o := Options{Images: "/var/lib/libvirt/images"}
	if err := output.DecodeOptions(f, options, &o); err != nil {
		return nil, err
	}
	if !path.IsAbs(o.Images) {
		return nil, fault.New(fault.Recipe, fmt.Errorf("options of output libvirt: images: %q is no absolute path", o.Images),
			"name the folder as the host sees it, such as /var/lib/libvirt/images")
	}
	return writer{f, o}, nil
}

type writer struct {
	format  Format
	options Options
}

// Begin implements output.Writer.
func (w writer) Begin(ctx context.Context, a output.Appliance, dir *output.Dir, size int64) (output.Sink, error) {
	stem := a.Name + "-libvirt"
	if n := 1 + len(a.Disks); n > maxDisks {
		return nil, fault.New(fault.Usage, fmt.Errorf("a machine with %d disks does not fit: %d are the most", n, maxDisks))
	}
	text, err := describe(a, path.Join(w.options.Images, stem))
	if err != nil {
		return nil, fmt.Errorf("describing the machine: %w", err)
	}
	return qcow2.Described(ctx, w.format.Name(), dir, stem, size, a.Disks, qcow2.Text{Name: stem + ".xml", Content: text})
}
