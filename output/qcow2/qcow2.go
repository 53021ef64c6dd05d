// Package qcow2 writes the disk in QEMU's format: NAME.qcow2.
//
// Clusters are compressed with zstd by default, which QEMU reads since 5.1
// (2020). On the disk of a Java appliance, whose root is compressed already,
// it is as quick to write as no compression, and the file is the smaller; the
// gain is the larger the more of the disk is a plain filesystem. Readers that
// are older, and some that are not QEMU, want zlib.
package qcow2

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/imgbuild/imgbuild/disk/qcow2"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
)

// Format is the qcow2 format.
type Format struct{}

// Options are the options of a recipe.
type Options struct {
	// Compression is "zstd" (the default), "zlib" or "none".
	Compression string `json:"compression"`
}

// Name implements output.Format.
func (Format) Name() string { return "qcow2" }

// Summary implements output.Format.
func (Format) Summary() string { return "QEMU disk image, compressed" }

// New implements output.Format.
func (f Format) New(options json.RawMessage) (output.Writer, error) {
	o := Options{Compression: "zstd"}
	if err := output.DecodeOptions(f, options, &o); err != nil {
		return nil, err
	}
	compression, ok := map[string]qcow2.Compression{
		"none": qcow2.None, "zlib": qcow2.Deflate, "zstd": qcow2.Zstd,
	}[strings.ToLower(o.Compression)]
	if !ok {
		return nil, fault.New(fault.Recipe, fmt.Errorf("options of output qcow2: compression: %q is not known", o.Compression),
			"choose zstd, zlib or none")
	}
	return writer{f, compression}, nil
}

type writer struct {
	format      Format
	compression qcow2.Compression
}

// Begin implements output.Writer.
func (w writer) Begin(_ context.Context, a output.Appliance, dir *output.Dir, size int64) (output.Sink, error) {
	p, err := dir.Create(a.Name + ".qcow2")
	if err != nil {
		return nil, err
	}
	enc, err := qcow2.Create(p, size, qcow2.Options{Compression: w.compression})
	if err != nil {
		p.Abort()
		return nil, err
	}
	return output.FileSink(w.format.Name(), p, enc), nil
}
