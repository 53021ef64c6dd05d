// Package raw writes the disk as it is: a sparse file, NAME.raw, or a stream
// that is compressed, NAME.raw.xz, NAME.raw.zst or NAME.raw.gz.
package raw

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/packed"
	"github.com/imgbuild/imgbuild/disk/raw"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
)

// Format is the raw format.
type Format struct{}

// Options are the options of a recipe.
type Options struct {
	// Compress is "none" (the default), "xz", "zst" or "gz".
	Compress packed.Kind `json:"compress"`
}

// none is the kind of what is not compressed.
const none packed.Kind = "none"

// Name implements output.Format.
func (Format) Name() string { return "raw" }

// Summary implements output.Format.
func (Format) Summary() string { return "sparse raw disk image, or a compressed one" }

// New implements output.Format.
func (f Format) New(options json.RawMessage) (output.Writer, error) {
	o := Options{Compress: none}
	if err := output.DecodeOptions(f, options, &o); err != nil {
		return nil, err
	}
	if o.Compress != none && !slices.Contains(packed.Kinds(), o.Compress) {
		return nil, fault.New(fault.Recipe, fmt.Errorf("options of output raw: compress: %q is not known", o.Compress),
			"choose none, xz, zst or gz")
	}
	return writer{f, o.Compress}, nil
}

type writer struct {
	format   Format
	compress packed.Kind
}

// Begin implements output.Writer.
func (w writer) Begin(_ context.Context, a output.Appliance, dir *output.Dir, size int64) (output.Sink, error) {
	name := a.Name + ".raw"
	if w.compress != none {
		name += "." + string(w.compress)
	}
	p, err := dir.Create(name)
	if err != nil {
		return nil, err
	}
	var enc disk.Sink
	if w.compress == none {
		enc, err = raw.Create(p.File, size)
	} else {
		enc, err = packed.Create(p, size, w.compress)
	}
	if err != nil {
		p.Abort()
		return nil, fmt.Errorf("making room for %d bytes: %w", size, err)
	}
	return output.FileSink(w.format.Name(), p, enc), nil
}
