// Package vhd writes the disk as Microsoft's Virtual Hard Disk: NAME.vhd, for
// Hyper-V, Azure and XenServer.
//
// A dynamic disk holds what is not empty. A fixed disk is as long as the disk
// itself, in a sparse file; it is what Azure takes, which also wants the size
// to be whole MiB: that of both types is rounded up to them.
package vhd

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/imgbuild/imgbuild/disk/vhd"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
)

// Format is the VHD format.
type Format struct{}

// Options are the options of a recipe.
type Options struct {
	// Type is "dynamic" (the default) or "fixed".
	Type string `json:"type"`
}

// align is what Azure wants sizes to be a multiple of, in bytes.
const align = 1 << 20

// Name implements output.Format.
func (Format) Name() string { return "vhd" }

// Summary implements output.Format.
func (Format) Summary() string { return "Virtual Hard Disk, for Hyper-V, Azure and XenServer" }

// New implements output.Format.
func (f Format) New(options json.RawMessage) (output.Writer, error) {
	o := Options{Type: "dynamic"}
	if err := output.DecodeOptions(f, options, &o); err != nil {
		return nil, err
	}
	kind, ok := map[string]vhd.Type{"dynamic": vhd.Dynamic, "fixed": vhd.Fixed}[o.Type]
	if !ok {
		return nil, fault.New(fault.Recipe, fmt.Errorf("options of output vhd: type: %q is not known", o.Type), "choose dynamic or fixed")
	}
	return writer{f, kind}, nil
}

type writer struct {
	format Format
	kind   vhd.Type
}

// Begin implements output.Writer.
func (w writer) Begin(_ context.Context, a output.Appliance, dir *output.Dir, size int64) (output.Sink, error) {
	p, err := dir.Create(a.Name + ".vhd")
	if err != nil {
		return nil, err
	}
	opts := vhd.Options{Type: w.kind, Created: a.Created}
	if a.Digest != "" {
		opts.Seed = []byte(a.Digest)
	}
	enc, err := vhd.Create(p, (size+align-1)/align*align, opts)
	if err != nil {
		p.Abort()
		return nil, err
	}
	return output.FileSink(w.format.Name(), p, enc), nil
}
