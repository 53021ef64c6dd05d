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
	"errors"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
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
func (w writer) Begin(ctx context.Context, a output.Appliance, dir *output.Dir, size int64) (output.Sink, error) {
	if n := 1 + len(a.Disks); n > maxDisks {
		return nil, fault.New(fault.Usage, fmt.Errorf("a machine with %d disks does not fit: %d are the most", n, maxDisks))
	}
	p, err := dir.Create(a.Name + ".xva")
	if err != nil {
		return nil, err
	}
	p.HoldsDisk()
	s := &sink{format: w.format, file: p}
	s.more = func() error { return addDisks(ctx, s.archive, a.Disks) }
	s.archive, err = container.NewWriter(p, container.Options{
		Description: describe(a, w.options.Network, size), Checksum: w.checksum, Created: a.Created,
	})
	if err == nil {
		s.Sink, err = s.archive.Disk(vdiRef, size)
	}
	if err != nil {
		p.Abort()
		return nil, err
	}
	return s, nil
}

// sink takes the first disk. The others follow when it is complete.
type sink struct {
	disk.Sink
	format  Format
	file    *output.Pending
	archive *container.Writer
	more    func() error
}

// Close implements disk.Sink: it writes the further disks, and the end.
func (s *sink) Close() error {
	if err := s.Sink.Close(); err != nil {
		return err
	}
	if err := s.more(); err != nil {
		return err
	}
	return s.archive.Close()
}

// addDisks writes all disks but the first.
func addDisks(ctx context.Context, archive *container.Writer, disks []disk.Reader) error {
	for i, d := range disks {
		k, err := archive.Disk(nth(vdiRef, i+1), d.Size())
		if err != nil {
			return err
		}
		if err := errors.Join(disk.Copy(ctx, d, nil, k), k.Close()); err != nil {
			return fmt.Errorf("writing disk %d: %w", i+2, err)
		}
	}
	return nil
}

// Commit implements output.Sink.
func (s *sink) Commit() ([]output.File, error) { return output.Commit(s.format.Name(), s.file) }

// Abort implements output.Sink.
func (s *sink) Abort() {
	// What Close says of a disk that is dropped does not matter.
	_ = s.Sink.Close()
	s.file.Abort()
}
