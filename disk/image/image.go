// Package image opens disk images of any format that imgbuild can read. A
// format is one line here.
package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

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
	open  func(r io.ReaderAt, n int64) (disk.Reader, error)
}

// formats are tried in this order. Everything is a raw image at last.
func formats() []format {
	return []format{
		{"qcow2", begins(qcow2.Magic), qcow2.Open},
		{"vmdk", begins(vmdk.Magic), vmdk.Open},
		{"vmdk", begins(vmdk.DescriptorMagic), vmdk.Open},
		{"vhd", begins(vhd.Magic), vhd.Open},
		{"vhd", func(_, tail []byte) bool { return vhd.IsFixed(tail) }, vhd.Open},
		{"vhdx", begins(vhdx.Magic), vhdx.Open},
		{"raw", begins(""), raw.Open},
	}
}

func begins(magic string) func(head, tail []byte) bool {
	return func(head, _ []byte) bool { return bytes.HasPrefix(head, []byte(magic)) }
}

// sniffed is how much of the beginning and of the end of a file is looked at,
// in bytes.
const sniffed = 512

// Open opens the image in a file or on a block device, whatever its format,
// which it returns too: "raw", "qcow2", "vmdk", "vhd", "vhdx".
// The closer belongs to the
// reader and outlives it.
func Open(path string) (disk.Reader, string, io.Closer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", nil, err
	}
	r, name, err := open(f)
	if err != nil {
		return nil, "", nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return r, name, f, nil
}

func open(f *os.File) (disk.Reader, string, error) {
	d, err := disk.NewFile(f)
	if err != nil {
		return nil, "", err
	}
	return From(d, d.Size())
}

// From opens the image in the n bytes of r, which may be a part of another
// file. See [Open].
func From(r io.ReaderAt, n int64) (disk.Reader, string, error) {
	head, tail := make([]byte, min(n, sniffed)), make([]byte, min(n, sniffed))
	if got, err := r.ReadAt(head, 0); got < len(head) {
		return nil, "", fmt.Errorf("reading the first %d bytes: %w", len(head), err)
	}
	if got, err := r.ReadAt(tail, n-int64(len(tail))); got < len(tail) {
		return nil, "", fmt.Errorf("reading the last %d bytes: %w", len(tail), err)
	}
	for _, format := range formats() {
		if format.match(head, tail) {
			d, err := format.open(r, n)
			return d, format.name, err
		}
	}
	return nil, "", errors.New("the format of the image is not known")
}
