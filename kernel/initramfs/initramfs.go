// Package initramfs writes archives that the kernel unpacks into memory when it
// starts, in the form newc (Documentation/driver-api/early-userspace/
// buffer-format.rst), packed as the kernel at hand can unpack. Archives may
// follow each other in one file: later ones add to what earlier ones hold.
package initramfs

import (
	"bytes"
	"fmt"
	"io"
	"path"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/u-root/u-root/pkg/cpio"

	"github.com/imgbuild/imgbuild/kernel"
)

// Alignment is where in a file the next archive may begin, in bytes; zeros fill
// the gap.
const Alignment = 4

// Best is the best compression that a kernel unpacks an initramfs with, by its
// configuration.
func Best(config map[string]string) kernel.Compression {
	switch {
	case config["RD_ZSTD"] == "y":
		return kernel.Zstd
	case config["RD_GZIP"] == "y":
		return kernel.Gzip
	}
	return kernel.Uncompressed
}

// Writer writes one archive. The first error is that of Close.
type Writer struct {
	records cpio.RecordWriter
	packer  io.WriteCloser // nil when it is not compressed
	folders map[string]bool
	err     error
}

// New begins an archive. Compression is kernel.Zstd, kernel.Gzip or
// kernel.Uncompressed, which an empty one stands for.
func New(w io.Writer, c kernel.Compression) (*Writer, error) {
	a := &Writer{folders: map[string]bool{".": true}}
	var err error
	switch c {
	case "", kernel.Uncompressed:
	case kernel.Zstd:
		a.packer, err = zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1))
	case kernel.Gzip:
		a.packer, err = gzip.NewWriterLevel(w, gzip.BestCompression)
	default:
		err = fmt.Errorf("%s is not written here", c)
	}
	if err != nil {
		return nil, fmt.Errorf("compressing the initramfs: %w", err)
	}
	if a.packer != nil {
		w = a.packer
	}
	a.records = cpio.Newc.Writer(w)
	return a, nil
}

// Add adds a record as it is.
func (a *Writer) Add(r cpio.Record) {
	if a.err == nil {
		a.err = a.records.WriteRecord(r)
	}
}

// Folder adds a folder of root's, and those that it is in.
func (a *Writer) Folder(name string) {
	if a.folders[name] {
		return
	}
	a.Folder(path.Dir(name))
	a.folders[name] = true
	a.Add(cpio.Directory(name, 0o755))
}

// File adds a file of root's of 1970, and the folders that it is in.
func (a *Writer) File(name string, content []byte, perm uint64) {
	a.Folder(path.Dir(name))
	a.Add(cpio.Record{
		ReaderAt: bytes.NewReader(content),
		Info:     cpio.Info{Name: name, Mode: cpio.S_IFREG | perm, FileSize: uint64(len(content))},
	})
}

// Console adds /dev/console, without which the first program would start with
// no standard output.
func (a *Writer) Console() {
	a.Folder("dev")
	a.Add(cpio.CharDev("dev/console", 0o600, 5, 1))
}

// Close ends the archive.
func (a *Writer) Close() error {
	if a.err == nil {
		a.err = cpio.WriteTrailer(a.records)
	}
	if a.packer != nil {
		if err := a.packer.Close(); a.err == nil {
			a.err = err
		}
	}
	if a.err != nil {
		return fmt.Errorf("writing the initramfs: %w", a.err)
	}
	return nil
}
