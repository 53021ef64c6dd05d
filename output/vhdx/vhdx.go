// Package vhdx writes the disk as Microsoft's VHDX: NAME.vhdx, for Hyper-V.
// It is dynamic: it holds what is not empty.
package vhdx

import (
	"context"
	"encoding/json"

	"github.com/imgbuild/imgbuild/disk/vhdx"
	"github.com/imgbuild/imgbuild/output"
)

// Format is the VHDX format.
type Format struct{}

// Name implements output.Format.
func (Format) Name() string { return "vhdx" }

// Summary implements output.Format.
func (Format) Summary() string { return "VHDX, the disk of Hyper-V since 2012" }

// New implements output.Format.
func (f Format) New(options json.RawMessage) (output.Writer, error) {
	if err := output.NoOptions(f, options); err != nil {
		return nil, err
	}
	return f, nil
}

// Begin implements output.Writer.
func (f Format) Begin(_ context.Context, a output.Appliance, dir *output.Dir, size int64) (output.Sink, error) {
	p, err := dir.Create(a.Name + ".vhdx")
	if err != nil {
		return nil, err
	}
	var opts vhdx.Options
	if a.Digest != "" {
		opts.Seed = []byte(a.Digest)
	}
	enc, err := vhdx.Create(p, size, opts)
	if err != nil {
		p.Abort()
		return nil, err
	}
	return output.FileSink(f.Name(), p, enc), nil
}
