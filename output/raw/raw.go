// Package raw writes the disk as it is: a sparse file, NAME.raw.
package raw

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/imgbuild/imgbuild/disk/raw"
	"github.com/imgbuild/imgbuild/output"
)

// Format is the raw format.
type Format struct{}

// Name implements output.Format.
func (Format) Name() string { return "raw" }

// Summary implements output.Format.
func (Format) Summary() string { return "sparse raw disk image" }

// New implements output.Format.
func (f Format) New(options json.RawMessage) (output.Writer, error) {
	if err := output.NoOptions(f, options); err != nil {
		return nil, err
	}
	return f, nil
}

// Begin implements output.Writer.
func (f Format) Begin(_ context.Context, a output.Appliance, dir *output.Dir, size int64) (output.Sink, error) {
	p, err := dir.Create(a.Name + ".raw")
	if err != nil {
		return nil, err
	}
	enc, err := raw.Create(p.File, size)
	if err != nil {
		p.Abort()
		return nil, fmt.Errorf("making room for %d bytes: %w", size, err)
	}
	return output.FileSink(f.Name(), p, enc), nil
}
