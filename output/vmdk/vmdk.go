// Package vmdk writes the disk as VMware's virtual disk: NAME.vmdk, alone. For
// import into vCenter or ESXi an OVA is the better form, which holds the same
// streamOptimized file.
//
// The types with several files are for Workstation, Fusion and Player, and for
// file systems that hold no large files. monolithicFlat adds NAME-flat.vmdk,
// the others NAME-s001.vmdk or NAME-f001.vmdk and so on, of 2047 MiB.
package vmdk

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk/vmdk"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
)

// Format is the VMDK format.
type Format struct{}

// Options are the options of a recipe.
type Options struct {
	// Type is "streamOptimized" (the default), "monolithicSparse",
	// "monolithicFlat", "twoGbMaxExtentSparse" or "twoGbMaxExtentFlat".
	Type vmdk.Type `json:"type"`
}

// Name implements output.Format.
func (Format) Name() string { return "vmdk" }

// Summary implements output.Format.
func (Format) Summary() string { return "VMware disk, without an OVF package" }

// New implements output.Format.
func (f Format) New(options json.RawMessage) (output.Writer, error) {
	o := Options{Type: vmdk.StreamOptimized}
	if err := output.DecodeOptions(f, options, &o); err != nil {
		return nil, err
	}
	switch o.Type {
	case vmdk.StreamOptimized, vmdk.MonolithicSparse, vmdk.MonolithicFlat, vmdk.SplitSparse, vmdk.SplitFlat:
		return writer{f, o.Type}, nil
	}
	return nil, fault.New(fault.Recipe, fmt.Errorf("options of output vmdk: type: %q is not known", o.Type),
		"choose streamOptimized, monolithicSparse, monolithicFlat, twoGbMaxExtentSparse or twoGbMaxExtentFlat")
}

type writer struct {
	format Format
	kind   vmdk.Type
}

// Begin implements output.Writer.
func (w writer) Begin(_ context.Context, a output.Appliance, dir *output.Dir, size int64) (output.Sink, error) {
	s := output.NewSetSink(w.format.Name(), dir)
	p, err := s.Create(a.Name + ".vmdk")
	if err != nil {
		return nil, err
	}
	p.HoldsDisk()
	opts := vmdk.Options{Type: w.kind, Name: a.Name + ".vmdk"}
	if a.Digest != "" {
		opts.Seed = []byte(a.Digest)
	}
	if err := s.Encode(vmdk.CreateSet(p, size, opts, func(name string) (io.WriterAt, error) { return s.Create(name) })); err != nil {
		s.Abort()
		return nil, err
	}
	return s, nil
}
