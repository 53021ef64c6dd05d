// Package xva writes and reads machines as XenServer and XCP-ng export them:
// NAME.xva, an archive of ova.xml, the records of the machine in the form of
// XML-RPC, and the disk in chunks with their checksums (disk/xva).
//
// It is written in one pass and costs nothing for what is empty. A machine is
// HVM with Xen's drivers for disk and network, as all new machines there are.
// It is imported by
//
//	xe vm-import filename=NAME.xva
//
// or by XenCenter or Xen Orchestra, which ask for the storage. The importer
// gives the machine new identifiers and its card a new address.
package xva

import (
	"context"
	"encoding/json"
	"fmt"

	container "github.com/imgbuild/imgbuild/disk/xva"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
)

// Format is the format for XenServer and XCP-ng.
type Format struct{}

// Options are the options of a recipe.
type Options struct {
	// Checksum is "sha1" (the default), which hosts of any age read, or
	// "xxhash", which is quicker to compute and which newer hosts write.
	Checksum string `json:"checksum"`
	// Network is the name of the host's network that the card is on. The
	// importer makes it when there is none of that name.
	Network string `json:"network"`
}

// Name implements output.Format.
func (Format) Name() string { return "xva" }

// Summary implements output.Format.
func (Format) Summary() string {
	return "export for XenServer and XCP-ng: ova.xml and the disk in chunks"
}

// New implements output.Format.
func (f Format) New(options json.RawMessage) (output.Writer, error) {
	o := Options{Checksum: "sha1", Network: defaultNetwork}
	if err := output.DecodeOptions(f, options, &o); err != nil {
		return nil, err
	}
	w := writer{format: f, options: o}
	switch o.Checksum {
	case "sha1":
		w.checksum = container.SHA1
	case "xxhash":
		w.checksum = container.XXH64
	default:
		return nil, fault.New(fault.Recipe, fmt.Errorf("options of output xva: checksum: %q is not known", o.Checksum), "choose sha1 or xxhash")
	}
	return w, nil
}

type writer struct {
	format   Format
	options  Options
	checksum container.Checksum
}

// Begin implements output.Writer.
func (w writer) Begin(_ context.Context, a output.Appliance, dir *output.Dir, size int64) (output.Sink, error) {
	p, err := dir.Create(a.Name + ".xva")
	if err != nil {
		return nil, err
	}
	s, err := container.Create(p, size, container.Options{
		Description: describe(a, w.options.Network, size), Folder: vdiRef, Checksum: w.checksum, Created: a.Created,
	})
	if err != nil {
		p.Abort()
		return nil, err
	}
	return output.FileSink(w.format.Name(), p, s), nil
}
