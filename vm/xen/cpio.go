package xen

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/u-root/u-root/pkg/cpio"

	"github.com/imgbuild/imgbuild/fault"
)

// cpioWriter writes an archive in the form newc (Documentation/driver-api/
// early-userspace/buffer-format.rst), records until the first error.
type cpioWriter struct {
	w     cpio.RecordWriter
	known map[string]bool // names that are written: folders, and files of several patterns
	err   error
}

func newCPIO(w io.Writer) *cpioWriter {
	return &cpioWriter{w: cpio.Newc.Writer(w), known: map[string]bool{".": true}}
}

func (a *cpioWriter) add(r cpio.Record) {
	if a.err == nil && !a.known[r.Name] {
		a.known[r.Name] = true
		a.err = a.w.WriteRecord(cpio.MakeReproducible(r))
	}
}

// folder adds a folder and those above it.
func (a *cpioWriter) folder(name string) {
	if !a.known[name] {
		a.folder(path.Dir(name))
		a.add(cpio.Directory(name, 0o755))
	}
}

func (a *cpioWriter) link(name, target string) {
	a.folder(path.Dir(name))
	a.add(cpio.Symlink(name, target))
}

func (a *cpioWriter) bytes(name string, content []byte, perm uint64) {
	a.reader(name, bytes.NewReader(content), int64(len(content)), perm)
}

// file adds a file of this host. It is read before file returns.
func (a *cpioWriter) file(name, from string, perm uint64) error {
	f, err := os.Open(from)
	if err != nil {
		return fault.New(fault.Input, fmt.Errorf("opening %s: %w", name, err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("opening %s: %w", name, err)
	}
	a.reader(name, f, info.Size(), perm)
	return nil
}

func (a *cpioWriter) reader(name string, r io.ReaderAt, size int64, perm uint64) {
	a.folder(path.Dir(name))
	a.add(cpio.Record{ReaderAt: r, Info: cpio.Info{Name: name, Mode: cpio.S_IFREG | perm, FileSize: uint64(size)}})
}

// close ends the archive.
func (a *cpioWriter) close() error {
	if a.err == nil {
		a.err = cpio.WriteTrailer(a.w)
	}
	return a.err
}

// writeInitramfs writes the archive of a part.
func writeInitramfs(dir string, fill func(*cpioWriter) error) error {
	f, err := os.Create(filepath.Join(dir, initramfsFile))
	if err != nil {
		return fault.New(fault.Environment, err)
	}
	defer f.Close()
	b := bufio.NewWriterSize(f, 1<<20)
	w := newCPIO(b)
	if err := fill(w); err != nil {
		return err
	}
	err = w.close()
	if err == nil {
		err = b.Flush()
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return fault.New(fault.Environment, fmt.Errorf("writing the initramfs of dom0: %w", err))
	}
	return nil
}
