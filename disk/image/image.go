// Package image opens disk images of any format that imgbuild can read. A
// format is one line here.
package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/qcow2"
	"github.com/imgbuild/imgbuild/disk/raw"
	"github.com/imgbuild/imgbuild/disk/vhd"
	"github.com/imgbuild/imgbuild/disk/vhdx"
	"github.com/imgbuild/imgbuild/disk/vmdk"
)

// format is a container format: how its files are known, and its reader.
type format struct {
	name  string
	match func(head, tail []byte) bool
	open  func(r io.ReaderAt, n int64, others disk.Opener) (disk.Reader, error)
}

// formats are tried in this order. Everything is a raw image at last.
func formats() []format {
	return []format{
		{"qcow2", begins(qcow2.Magic), qcow2.OpenWith},
		{"vmdk", begins(vmdk.Magic), vmdk.OpenWith},
		{"vmdk", begins(vmdk.DescriptorMagic), vmdk.OpenWith},
		{"vhd", begins(vhd.Magic), alone(vhd.Open)},
		{"vhd", func(_, tail []byte) bool { return vhd.IsFixed(tail) }, alone(vhd.Open)},
		{"vhdx", begins(vhdx.Magic), alone(vhdx.Open)},
		{"raw", begins(""), alone(raw.Open)},
	}
}

// alone is for formats whose images need no other file.
func alone(open func(io.ReaderAt, int64) (disk.Reader, error)) func(io.ReaderAt, int64, disk.Opener) (disk.Reader, error) {
	return func(r io.ReaderAt, n int64, _ disk.Opener) (disk.Reader, error) { return open(r, n) }
}

func begins(magic string) func(head, tail []byte) bool {
	return func(head, _ []byte) bool { return bytes.HasPrefix(head, []byte(magic)) }
}

// sniffed is how much of the beginning and of the end of a file is looked at,
// in bytes.
const sniffed = 512

// Open opens the image in a file or on a block device, whatever its format,
// which it returns too: "raw", "qcow2", "vmdk", "vhd", "vhdx". Other files that
// the image builds on or consists of are opened when they lie beside it or
// below. The closer belongs to the reader and outlives it.
func Open(path string) (disk.Reader, string, io.Closer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", nil, err
	}
	d, err := disk.NewFile(f)
	if err != nil {
		return nil, "", nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	beside := &folder{path: filepath.Dir(path), files: &files{list: []io.Closer{f}}}
	r, name, err := from(d, d.Size(), "", beside.open)
	if err != nil {
		return nil, "", nil, errors.Join(fmt.Errorf("%s: %w", path, err), beside.files.Close())
	}
	return r, name, beside.files, nil
}

// From opens the image in the n bytes of r, which may be a part of another
// file. It must be whole by itself. See [Open].
func From(r io.ReaderAt, n int64) (disk.Reader, string, error) { return from(r, n, "", nil) }

// from opens an image of the named format, or finds out which it is.
func from(r io.ReaderAt, n int64, name string, others disk.Opener) (disk.Reader, string, error) {
	head, tail := make([]byte, min(n, sniffed)), make([]byte, min(n, sniffed))
	if got, err := r.ReadAt(head, 0); got < len(head) {
		return nil, "", fmt.Errorf("reading the first %d bytes: %w", len(head), err)
	}
	if got, err := r.ReadAt(tail, n-int64(len(tail))); got < len(tail) {
		return nil, "", fmt.Errorf("reading the last %d bytes: %w", len(tail), err)
	}
	for _, format := range formats() {
		if format.name == name || name == "" && format.match(head, tail) {
			d, err := format.open(r, n, others)
			return d, format.name, err
		}
	}
	return nil, "", fmt.Errorf("the format %q is not known", name)
}
