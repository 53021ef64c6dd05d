// Package azure writes the disk as Azure takes it: NAME-azure.vhd, a fixed
// VHD whose content is whole MiB, of 20 MiB at least.
//
// The file is as long as the disk, and sparse. azcopy sends it as a page blob
// and leaves out what is empty:
//
//	azcopy copy NAME-azure.vhd 'https://ACCOUNT.blob.core.windows.net/…' --blob-type PageBlob
//
// The bounds are those of "Prepare a Windows VHD or VHDX to upload to Azure"
// and of the managed disks' direct upload, in Microsoft's documentation.
package azure

import (
	"context"
	"encoding/json"

	"github.com/imgbuild/imgbuild/disk/vhd"
	"github.com/imgbuild/imgbuild/output"
)

// What Azure asks of the size of a disk, in bytes.
const (
	align   = 1 << 20
	minimum = 20 << 20
)

// Format is the Azure format.
type Format struct{}

// Name implements output.Format.
func (Format) Name() string { return "azure" }

// Summary implements output.Format.
func (Format) Summary() string { return "fixed VHD for Azure, of whole MiB" }

// New implements output.Format.
func (f Format) New(options json.RawMessage) (output.Writer, error) {
	return f, output.NoOptions(f, options)
}

// Begin implements output.Writer.
func (f Format) Begin(_ context.Context, a output.Appliance, dir *output.Dir, size int64) (output.Sink, error) {
	p, err := dir.Create(a.Name + "-azure.vhd")
	if err != nil {
		return nil, err
	}
	opts := vhd.Options{Type: vhd.Fixed, Created: a.Created}
	if a.Digest != "" {
		opts.Seed = []byte(a.Digest)
	}
	enc, err := vhd.Create(p, max(minimum, (size+align-1)/align*align), opts)
	if err != nil {
		p.Abort()
		return nil, err
	}
	return output.FileSink(f.Name(), p, enc), nil
}
