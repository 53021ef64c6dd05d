// Package image opens disk images of any format that imgbuild can read. A
// format is one line here.
package image

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/qcow2"
	"github.com/imgbuild/imgbuild/disk/raw"
	"github.com/imgbuild/imgbuild/disk/vmdk"
)

// format is a container format: how its files begin, and its reader.
type format struct {
	name  string
	magic string
	open  func(r io.ReaderAt, n int64) (disk.Reader, error)
}

// formats are tried in this order. Everything is a raw image at last.
func formats() []format {
	return []format{
		{"qcow2", qcow2.Magic, qcow2.Open},
		{"vmdk", vmdk.Magic, vmdk.Open},
		{"vmdk", vmdk.DescriptorMagic, vmdk.Open},
		{"raw", "", raw.Open},
	}
}

// maxMagic is at least as long as the longest magic, in bytes.
const maxMagic = 64

// Open opens the image in a file or on a block device, whatever its format,
// which it returns too: "raw", "qcow2", "vmdk". The closer belongs to the
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
	head := make([]byte, min(n, maxMagic))
	if got, err := r.ReadAt(head, 0); got < len(head) {
		return nil, "", fmt.Errorf("reading the first %d bytes: %w", len(head), err)
	}
	for _, format := range formats() {
		if strings.HasPrefix(string(head), format.magic) {
			d, err := format.open(r, n)
			return d, format.name, err
		}
	}
	return nil, "", errors.New("the format of the image is not known")
}
