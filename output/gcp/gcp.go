// Package gcp writes the disk as Google Compute Engine imports it:
// NAME-gcp.tar.gz, an archive in the old GNU format that holds exactly
// disk.raw, of whole GiB.
//
// The archive is written as one stream while the disk is read. Its member is a
// regular one, as in what Google's own exporter of images makes: the map of a
// sparse member would come before the data, which would then have to be kept
// until the whole disk is known. What is empty costs a thousandth of its size.
//
//	gcloud storage cp NAME-gcp.tar.gz gs://BUCKET/
//	gcloud compute images create NAME --source-uri gs://BUCKET/NAME-gcp.tar.gz \
//	    --guest-os-features=UEFI_COMPATIBLE,GVNIC,VIRTIO_SCSI_MULTIQUEUE
package gcp

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/tarred"
)

const (
	member = "disk.raw" // the name is the importer's
	align  = 1 << 30    // of the disk, in bytes
)

// Format is the GCP format.
type Format struct{}

// Name implements output.Format.
func (Format) Name() string { return "gcp" }

// Summary implements output.Format.
func (Format) Summary() string { return "disk.raw in a tar.gz, for Google Compute Engine" }

// New implements output.Format.
func (f Format) New(options json.RawMessage) (output.Writer, error) {
	return f, output.NoOptions(f, options)
}

// Begin implements output.Writer.
func (f Format) Begin(_ context.Context, a output.Appliance, dir *output.Dir, size int64) (output.Sink, error) {
	size = max(1, (size+align-1)/align) * align
	header, err := header(size, a.Created)
	if err != nil {
		return nil, err
	}
	p, err := dir.Create(a.Name + "-gcp.tar.gz")
	if err != nil {
		return nil, err
	}
	archive, err := tarred.NewPacked(p, int64(len(header))+size)
	if err != nil {
		p.Abort()
		return nil, err
	}
	err = archive.Add(header)
	s := output.FileSink(f.Name(), p, sink{archive.Disk(size), archive})
	if err != nil {
		s.Abort()
		return nil, err
	}
	return s, nil
}

// sink is the disk, whose end is that of the archive.
type sink struct {
	io.WriterAt
	io.Closer
}

// header returns the header of the member. The GNU format of archive/tar is
// the old one, which writes sizes above 8 GiB in base 256.
func header(size int64, when time.Time) ([]byte, error) {
	var b bytes.Buffer
	err := tar.NewWriter(&b).WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: member, Size: size, Mode: 0o644, ModTime: when.Truncate(time.Second), Format: tar.FormatGNU,
	})
	if err != nil {
		return nil, fmt.Errorf("archiving %s: %w", member, err)
	}
	return b.Bytes(), nil
}
