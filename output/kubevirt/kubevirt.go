// Package kubevirt writes the disk as a containerDisk of KubeVirt:
// NAME-kubevirt.oci.tar, a container image of one layer that holds
// /disk/NAME.qcow2, owned by 107:107, the user of KubeVirt's QEMU.
//
// The image is an OCI layout in an archive, to be pushed to the registry that
// the cluster reads:
//
//	imgbuild push NAME-kubevirt.oci.tar registry.example.org/NAME:VERSION
//
// Neither the layer nor the archive is compressed, for the disk is. It is
// written once, right at its place. The layout follows the OCI Image Format
// Specification, "OCI Image Layout Specification"; the place of the disk
// "Disks and Volumes, containerDisk" in KubeVirt's user guide.
package kubevirt

import (
	"context"
	"encoding/json"
	"io"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/qcow2"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/tarred"
)

// Format is the KubeVirt format.
type Format struct{}

// Name implements output.Format.
func (Format) Name() string { return "kubevirt" }

// Summary implements output.Format.
func (Format) Summary() string { return "containerDisk for KubeVirt, in an archive" }

// New implements output.Format.
func (f Format) New(options json.RawMessage) (output.Writer, error) {
	return f, output.NoOptions(f, options)
}

const (
	// layerAt is where the layer begins: behind its header in the archive.
	layerAt = tarred.Block
	// diskAt is where the disk begins in the layer: behind the headers of its
	// folder and its own.
	diskAt = 2 * tarred.Block
)

// Begin implements output.Writer.
func (f Format) Begin(_ context.Context, a output.Appliance, dir *output.Dir, size int64) (output.Sink, error) {
	p, err := dir.Create(a.Name + "-kubevirt.oci.tar")
	if err != nil {
		return nil, err
	}
	s := &sink{file: p, about: a}
	// A name that does not fit is refused before the disk is read.
	_, err = s.layerHead(0)
	if err == nil {
		s.Sink, err = qcow2.Create(io.NewOffsetWriter(p, layerAt+diskAt), size, qcow2.Options{Compression: qcow2.Deflate})
	}
	if err != nil {
		p.Abort()
		return nil, err
	}
	return output.FileSink(f.Name(), p, s), nil
}

// sink writes the disk at its place in the layer.
type sink struct {
	disk.Sink
	file  *output.Pending
	about output.Appliance
}

// Close implements disk.Sink: it completes the layer, and describes it.
func (s *sink) Close() error {
	if err := s.Sink.Close(); err != nil {
		return err
	}
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	size := info.Size() - layerAt - diskAt
	head, err := s.layerHead(size)
	if err != nil {
		return err
	}
	if _, err := s.file.WriteAt(head, layerAt); err != nil {
		return err
	}
	end := layerAt + tarred.End(diskAt+tarred.Blocks(size))
	if err := s.file.Truncate(end); err != nil {
		return err
	}
	tail, err := s.describe(end - layerAt)
	if err != nil {
		return err
	}
	if _, err := s.file.WriteAt(tail, end); err != nil {
		return err
	}
	return s.file.Truncate(tarred.End(end + int64(len(tail))))
}
