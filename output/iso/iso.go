// Package iso writes NAME.iso: an image of a CD that starts the appliance on a
// BIOS and on UEFI (El Torito Bootable CD-ROM Format Specification 1.0), and
// from a USB stick as well. The appliance runs from memory, without a disk: the
// CD can be taken out. What it writes is gone when it ends.
package iso

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/imgbuild/imgbuild/output"
)

// Format is the format of CD images.
type Format struct{}

// Name implements output.Format.
func (Format) Name() string { return "iso" }

// Summary implements output.Format.
func (Format) Summary() string {
	return "image of a CD or a USB stick that runs the appliance from memory"
}

// Parts implements output.Asks.
func (Format) Parts() []output.Part { return []output.Part{output.ISO} }

// New implements output.Format.
func (f Format) New(options json.RawMessage) (output.Writer, error) {
	return f, output.NoOptions(f, options)
}

// Begin implements output.Writer.
func (f Format) Begin(_ context.Context, a output.Appliance, dir *output.Dir, _ int64) (output.Sink, error) {
	path := a.Parts[output.ISO]
	if path == "" {
		return nil, errors.New("the appliance has no image of a CD")
	}
	return output.FileCopy(f.Name(), dir, a.Name+".iso", path)
}
