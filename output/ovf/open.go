package ovf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/image"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/members"
)

// Package is an OVF package that is open for reading.
type Package struct {
	Description
	// Descriptor is the name of the descriptor in the package.
	Descriptor string
	// Archive tells an OVA from loose files.
	Archive bool

	files   files
	text    []byte       // of the descriptor
	spooled []*disk.File // what was unpacked
}

// files are those of a package.
type files interface {
	// open returns the content of a file and its size, in bytes.
	open(name string) (io.ReaderAt, int64, error)
	// find returns the name of the first file with such an ending, or "".
	find(suffix string) string
	io.Closer
}

// Open opens an OVA, or the descriptor of a package of loose files.
func Open(name string) (*Package, error) {
	p, err := open(name)
	if err != nil {
		return nil, fault.New(fault.Input, fmt.Errorf("opening the OVF package %s: %w", name, err))
	}
	return p, nil
}

func open(name string) (*Package, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	p := &Package{}
	if p.Archive = members.Is(f); p.Archive {
		err = p.openArchive(f, info.Size())
	} else {
		f.Close()
		err = p.openFolder(filepath.Dir(name), filepath.Base(name))
	}
	if err == nil {
		err = p.read()
	}
	if err != nil && p.files != nil {
		p.files.Close()
	}
	return p, err
}

func (p *Package) openArchive(f *os.File, n int64) error {
	list, err := members.Index(f, n)
	if err != nil {
		f.Close()
		return err
	}
	p.files = archive{f, list}
	if p.Descriptor = p.files.find(".ovf"); p.Descriptor == "" {
		return errors.New("there is no descriptor in the archive")
	}
	return nil
}

func (p *Package) openFolder(dir, name string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	p.files, p.Descriptor = &folder{root: root, stem: stem(name)}, name
	return nil
}

// read reads the descriptor and compares it with the files that are there.
func (p *Package) read() error {
	r, n, err := p.files.open(p.Descriptor)
	if err != nil {
		return err
	}
	if p.text, err = readAll(r, n, maxDescriptor); err != nil {
		return fmt.Errorf("reading the descriptor: %w", err)
	}
	e, err := parse(p.text)
	if err != nil {
		return err
	}
	p.Description = describe(e)
	if a, ok := p.files.(archive); ok && a.list[0].Name != p.Descriptor {
		p.note("the descriptor is not the first file of the archive; some importers insist on that")
	}
	for _, f := range p.Files {
		switch _, n, err := p.whole(f); {
		case err != nil:
			p.note("file %s: %v", f.Name, err)
		case f.Size != 0 && n != f.Size:
			p.note("file %s has %d bytes, the descriptor says %d", f.Name, n, f.Size)
		}
	}
	return nil
}

// Text returns the descriptor as it is written. The caller must not change it.
func (p *Package) Text() []byte { return p.text }

// OpenFile opens a file of the package by the name that the descriptor gives
// it, and returns its size, in bytes. It can be read until the package is
// closed.
func (p *Package) OpenFile(name string) (io.ReaderAt, int64, error) { return p.files.open(name) }

// ReadManifest returns the manifest and its name, which is empty when there is
// none.
func (p *Package) ReadManifest() (name string, text []byte, err error) {
	if name = p.files.find(".mf"); name == "" {
		return "", nil, nil
	}
	r, n, err := p.files.open(name)
	if err != nil {
		return name, nil, fmt.Errorf("opening the manifest: %w", err)
	}
	if text, err = readAll(r, n, maxManifest); err != nil {
		return name, nil, fmt.Errorf("reading the manifest: %w", err)
	}
	return name, text, nil
}

// OpenDisk opens a disk of the package in its place, and tells the format of
// its file: "vmdk", "qcow2", "raw". A file that gzip compressed is unpacked into
// the folder for temporary files first. The disk can be read until the package
// is closed.
func (p *Package) OpenDisk(ctx context.Context, d Disk) (disk.Reader, string, error) {
	if d.Parent != "" {
		return nil, "", fault.New(fault.Input, fmt.Errorf("disk %s holds only what differs from disk %s, which is not supported", d.ID, d.Parent),
			"consolidate the snapshots of the machine, and export it again")
	}
	for _, f := range p.Files {
		if f.ID != d.File || d.File == "" {
			continue
		}
		r, n, err := p.unpacked(ctx, f)
		if err != nil {
			return nil, "", fmt.Errorf("opening disk %s: %w", d.ID, err)
		}
		k, format, err := image.From(r, n)
		if err != nil {
			return nil, "", fmt.Errorf("opening disk %s: %w", d.ID, err)
		}
		return k, format, nil
	}
	return nil, "", fmt.Errorf("disk %s has no file", d.ID)
}

// stem is a file name without its last extension.
func stem(name string) string { return strings.TrimSuffix(name, path.Ext(name)) }

// readAll reads the n bytes of r, of which there may be limit.
func readAll(r io.ReaderAt, n, limit int64) ([]byte, error) {
	if n > limit {
		return nil, fmt.Errorf("it has %d bytes, more than %d", n, limit)
	}
	return io.ReadAll(io.NewSectionReader(r, 0, n))
}

// archive is an OVA.
type archive struct {
	*os.File
	list []members.Member
}

func (a archive) open(name string) (io.ReaderAt, int64, error) {
	for _, candidate := range spellings(name) {
		for _, m := range a.list {
			if m.Name == candidate {
				return io.NewSectionReader(a.File, m.Off, m.Size), m.Size, nil
			}
		}
	}
	return nil, 0, fmt.Errorf("%s is not in the archive", name)
}

func (a archive) find(suffix string) string {
	for _, m := range a.list {
		if strings.EqualFold(path.Ext(m.Name), suffix) {
			return m.Name
		}
	}
	return ""
}

// folder is where loose files lie. References cannot lead out of it.
type folder struct {
	root   *os.Root
	stem   string
	opened []opened
}

type opened struct {
	name string
	*disk.File
}

func (f *folder) open(name string) (io.ReaderAt, int64, error) {
	for _, o := range f.opened {
		if o.name == name {
			return o, o.Size(), nil
		}
	}
	var first error
	for _, candidate := range spellings(name) {
		file, err := openRegular(f.root, candidate)
		if err == nil {
			f.opened = append(f.opened, opened{name, file})
			return file, file.Size(), nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, 0, first
}

// openRegular opens a file with its holes known; a pipe or a device would
// make a reader wait.
func openRegular(root *os.Root, name string) (*disk.File, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	d, err := disk.NewFile(file)
	if err != nil {
		file.Close()
		return nil, err
	}
	return d, nil
}

func (f *folder) find(suffix string) string {
	name := f.stem + suffix
	if info, err := f.root.Stat(name); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return name
}

// Close implements io.Closer.
func (f *folder) Close() error {
	errs := []error{f.root.Close()}
	for _, o := range f.opened {
		errs = append(errs, o.Close())
	}
	return errors.Join(errs...)
}

// spellings are the ways in which a reference may be written: as it is, or
// with blanks and the like escaped, as it is an address (DSP0243 section 7.1).
func spellings(name string) []string {
	plain, err := url.PathUnescape(name)
	if err != nil || plain == name {
		return []string{name}
	}
	return []string{name, plain}
}

// IsDescriptor reports whether text, the first bytes of a file, begins an OVF
// descriptor.
func IsDescriptor(text []byte) bool {
	const byteOrderMark = "\xef\xbb\xbf"
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte(byteOrderMark)))
	return bytes.HasPrefix(text, []byte("<")) && bytes.Contains(text, []byte("Envelope"))
}
