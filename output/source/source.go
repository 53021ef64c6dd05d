// Package source opens what somebody hands over, whatever it is, and finds the
// disks in it.
//
//	s, err := source.Open(ctx, "hello.box")
//	defer s.Close()
//	for _, d := range s.Disks { r, format, err := d.Open() }
//
// Sources are disk images (raw, qcow2, VMDK, VHD, VHDX); OVF packages, as an
// OVA or as loose files by their .ovf; templates of Oracle VM and exports of
// XenServer; archives that hold images, such as those for Google Compute Engine
// and the boxes of Vagrant; container images, as an
// OCI layout in a folder or an archive or as `docker save` wrote them, whose
// layers may hold the disk of a KubeVirt containerDisk; and any of these
// compressed (.gz, .xz, .zst).
//
// Disks are read in their place. Only what is compressed, or lies in pieces,
// is unpacked: into a file without a name below the folder for temporary
// files. A source without a disk is none of an error here: who needs a disk
// asks [Source.One], which says what the source is instead.
package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/image"
	"github.com/imgbuild/imgbuild/disk/packed"
	container "github.com/imgbuild/imgbuild/disk/xva"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/layout"
	"github.com/imgbuild/imgbuild/output/members"
	"github.com/imgbuild/imgbuild/output/ovf"
)

// Source is what was handed over, open for reading.
type Source struct {
	Path string
	// Format is that of a disk image ("raw", "qcow2", …), or "ova", "ovf",
	// "ovm", "xva", "gcp", "vagrant", "tar", "oci", "docker". How it is
	// compressed follows behind a dot: "raw.xz".
	Format string
	// Package is set where machines are described, Layout for container images.
	Package *Package
	Layout  *layout.Layout
	// Disks may be none.
	Disks []Disk
	// Beside names what else the file holds, such as the description of a
	// machine that is no OVF.
	Beside []string

	template     []byte // vm.cfg, and its name
	templateName string
	held         []io.Closer
}

// Disk is a disk of a source.
type Disk struct {
	// ID is what the description of the machine calls it.
	ID string
	// Name is that of its file in the source; empty for a disk image alone.
	Name string
	// Capacity is what the description says, or else the size of the file, in
	// bytes; Blank tells a disk that has no file.
	Capacity int64
	Blank    bool

	open func() (disk.Reader, string, error)
}

// Open opens a disk in its place and tells the format of its file. It can be
// read until the source is closed.
func (d Disk) Open() (disk.Reader, string, error) { return d.open() }

const (
	// sniffed is how much of a file is looked at to tell what it is, in bytes.
	sniffed = 4096
	// limit is the most that something may be unpacked into, in bytes: what
	// the largest container holds.
	limit = 64 << 40
)

// Open opens the source at path. Errors are of kind [fault.Input], and do not
// tell the path.
func Open(ctx context.Context, path string) (*Source, error) {
	s := &Source{Path: path}
	err := s.open(ctx)
	if err == nil {
		return s, nil
	}
	err = errors.Join(err, s.Close())
	if cause := ctx.Err(); cause != nil {
		return nil, cause
	}
	return nil, Unreadable(path, err)
}

// Unreadable is an error in reading the source at path: of kind [fault.Input],
// without the path, and with a hint.
func Unreadable(path string, err error) error {
	if at := (*fs.PathError)(nil); errors.As(err, &at) && at.Path == path {
		err = at.Err
	}
	switch {
	case len(fault.HintsOf(err)) > 0:
		return fault.New(fault.Input, err)
	case errors.Is(err, fs.ErrNotExist):
		return fault.New(fault.Input, err, "check the path")
	case errors.Is(err, fs.ErrPermission):
		return fault.New(fault.Input, err, "you need the right to read it")
	}
	return fault.New(fault.Input, err, "it may be damaged or cut short: compare its size and digest with what its maker says")
}

// Close gives back what is open.
func (s *Source) Close() error {
	var errs []error
	for i := len(s.held) - 1; i >= 0; i-- {
		errs = append(errs, s.held[i].Close())
	}
	s.held = nil
	return errors.Join(errs...)
}

func (s *Source) hold(c io.Closer) { s.held = append(s.held, c) }

func (s *Source) open(ctx context.Context) error {
	info, err := os.Stat(s.Path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return s.openFolder(ctx)
	}
	f, err := disk.OpenFile(s.Path)
	if err != nil {
		return err
	}
	s.hold(f)
	return s.find(ctx, f, "")
}

// openFolder opens an OCI layout; other folders hold images, and are none.
func (s *Source) openFolder(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(s.Path, layout.IndexName)); err != nil {
		return fault.New(fault.Input, errors.New("it is a folder"), "name the image in it, or the .ovf of a package")
	}
	l, err := layout.Folder(s.Path)
	if err != nil {
		return err
	}
	return s.openLayout(ctx, l, "oci")
}

// find tells what r is. kind is how it was compressed.
func (s *Source) find(ctx context.Context, r disk.Reader, kind packed.Kind) error {
	head := make([]byte, min(r.Size(), sniffed))
	if n, err := r.ReadAt(head, 0); n < len(head) {
		return fmt.Errorf("reading its beginning: %w", err)
	}
	again := packed.KindOf(head)
	switch {
	case container.Is(head):
		return s.openExport(r, kind)
	case members.Is(r):
		return s.openArchive(ctx, r, kind)
	case ovf.IsDescriptor(head) && kind == "":
		return s.openOVF(ctx, "ovf")
	case again != "" && kind != "":
		return fault.New(fault.Input, fmt.Errorf("it is compressed twice, by %s and %s", kind, again), "unpack it once")
	case again != "":
		plain, err := packed.Open(ctx, r, r.Size(), limit, nil)
		if err != nil {
			return err
		}
		s.hold(plain)
		return s.find(ctx, plain, again)
	}
	return s.openImage(r, kind)
}

// openImage opens a disk image. Other files that a compressed one may name are
// not followed.
func (s *Source) openImage(r disk.Reader, kind packed.Kind) error {
	if err := refuse(r); err != nil {
		return err
	}
	var d disk.Reader
	var format string
	var err error
	if kind == "" {
		var files io.Closer
		if d, format, files, err = image.Open(s.Path); err == nil {
			s.hold(files)
		}
	} else {
		d, format, err = image.From(r, r.Size())
	}
	if err != nil {
		return withoutPath(s.Path, err)
	}
	s.Format = format + suffix(kind)
	s.Disks = []Disk{{Capacity: d.Size(), open: func() (disk.Reader, string, error) { return d, format, nil }}}
	return nil
}

// withoutPath takes off the path that an error of disk/image begins with.
func withoutPath(path string, err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && len(joined.Unwrap()) == 1 {
		err = joined.Unwrap()[0]
	}
	if inner := errors.Unwrap(err); inner != nil && strings.HasPrefix(err.Error(), path+": ") {
		return inner
	}
	return err
}

func suffix(kind packed.Kind) string {
	if kind == "" {
		return ""
	}
	return "." + string(kind)
}

// refuse names files that hide an image, and that are not read.
func refuse(r disk.Reader) error {
	head := make([]byte, min(r.Size(), int64(len("PK\x03\x04"))))
	if n, err := r.ReadAt(head, 0); n < len(head) {
		return err
	}
	switch {
	case strings.HasPrefix(string(head), "BZh"):
		return fault.New(fault.Input, errors.New("it is compressed by bzip2, which is not read"), "unpack it with `bunzip2` first")
	case string(head) == "PK\x03\x04":
		return fault.New(fault.Input, errors.New("it is a zip file, which is not read"), "unpack it with `unzip` first")
	}
	return nil
}
