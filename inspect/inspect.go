// Package inspect tells what is in an image that somebody hands over, whoever
// made it: a disk (raw, qcow2, VMDK, VHD, VHDX), an OVF package (OVA or loose
// files), or a container image in an archive (an OCI layout, or what `docker save` writes).
//
//	report, err := inspect.Read(ctx, "hello.ova")
//	err = report.WriteText(os.Stdout)
//
// A report holds the machine that a package describes and the verdict on its
// manifest; for each disk the partitions, their filesystems, and whose every
// byte is, as the sanitize package sees it; the files of boot partitions; for
// a container image its configuration, its layers, and whether the blobs are
// what they are called. Nothing is written, and nothing is unpacked.
//
// What a report takes from an image is foreign text: WriteText shows control
// characters as escapes, so that a name cannot steer the terminal.
package inspect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/imgbuild/imgbuild/disk/image"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/members"
	"github.com/imgbuild/imgbuild/output/ovf"
)

// Report is what an image holds. Sizes and offsets are in bytes.
type Report struct {
	Path string `json:"path"`
	// Format is raw, qcow2, vmdk, vhd, vhdx, ova, ovf, oci or docker.
	Format string `json:"format"`
	// Size is that of the file, Allocated the space it takes on disk.
	Size      int64 `json:"size"`
	Allocated int64 `json:"allocated"`
	// Package is set for OVF, Images for container images.
	Package *Package `json:"package,omitempty"`
	Disks   []Disk   `json:"disks,omitempty"`
	Images  []Image  `json:"images,omitempty"`
}

// Package is an OVF package.
type Package struct {
	// Descriptor is the name of the descriptor.
	Descriptor string `json:"descriptor"`
	ovf.Description
	Manifest ovf.Verdict `json:"manifest"`
}

// Read inspects the image at path. What cannot be read as an image is an error
// of kind [fault.Input]; what is merely odd is in the report.
func Read(ctx context.Context, path string) (*Report, error) {
	r := &Report{Path: path}
	err := r.read(ctx)
	if err == nil {
		return r, nil
	}
	if cause := ctx.Err(); cause != nil {
		return nil, cause
	}
	// The path need not be told twice.
	if at := (*fs.PathError)(nil); errors.As(err, &at) && at.Path == path {
		err = at.Err
	}
	return nil, fault.New(fault.Input, fmt.Errorf("inspecting %s: %w", path, err), advice(err)...)
}

// advice returns hints for errors that bring none.
func advice(err error) []string {
	switch {
	case len(fault.HintsOf(err)) > 0:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return []string{"check the path"}
	case errors.Is(err, fs.ErrPermission):
		return []string{"you need the right to read it"}
	}
	return []string{"it may be damaged or cut short: compare its size and digest with what its maker says"}
}

// sniffed is how much of a file is looked at to tell its format, in bytes.
const sniffed = 4096

func (r *Report) read(ctx context.Context) error {
	f, err := os.Open(r.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fault.New(fault.Input, errors.New("it is a folder"), "name the image in it, or the .ovf of a package")
	}
	if r.Size, err = f.Seek(0, io.SeekEnd); err != nil { // knows block devices too
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		r.Allocated = st.Blocks * 512
	}
	head := make([]byte, min(r.Size, sniffed))
	if n, err := f.ReadAt(head, 0); n < len(head) {
		return fmt.Errorf("reading its beginning: %w", err)
	}
	switch {
	case members.Is(f):
		return r.readArchive(ctx, f)
	case ovf.IsDescriptor(head):
		r.Format = "ovf"
		return r.readPackage(ctx)
	}
	if err := refuseCompressed(head); err != nil {
		return err
	}
	return r.readImage(ctx)
}

// refuseCompressed names files that hide an image behind a compression.
func refuseCompressed(head []byte) error {
	for magic, program := range map[string]string{
		"\x1f\x8b": "gunzip", "\xfd7zXZ\x00": "unxz", "\x28\xb5\x2f\xfd": "unzstd", "BZh": "bunzip2", "PK\x03\x04": "unzip",
	} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return fault.New(fault.Input, errors.New("it is compressed"), "unpack it with `"+program+"` first, or turn it into a disk: `imgbuild convert IN OUT.qcow2`")
		}
	}
	return nil
}

// readArchive tells an OVA from a container image.
func (r *Report) readArchive(ctx context.Context, f *os.File) error {
	list, err := members.Index(f, r.Size)
	if err != nil {
		return err
	}
	has := func(match func(string) bool) bool {
		return slices.ContainsFunc(list, func(m members.Member) bool { return match(m.Name) })
	}
	switch {
	case has(func(name string) bool { return strings.EqualFold(path.Ext(name), ".ovf") }):
		r.Format = "ova"
		return r.readPackage(ctx)
	case has(func(name string) bool { return name == indexName || name == saveName }):
		return r.readLayout(ctx, layout{f, list})
	}
	return errors.New("it is an archive, but neither an OVA nor a container image")
}

// readPackage inspects an OVF package and its disks.
func (r *Report) readPackage(ctx context.Context) error {
	p, err := ovf.Open(r.Path)
	if err != nil {
		return err
	}
	defer p.Close()
	r.Package = &Package{Descriptor: p.Descriptor, Description: p.Description}
	if r.Package.Manifest, err = p.Verify(ctx); err != nil {
		return err
	}
	for _, d := range p.Disks {
		report := Disk{Name: fileName(p, d)}
		if d.File == "" {
			report.Size, report.Format = d.Capacity, "blank"
			r.Disks = append(r.Disks, report)
			continue
		}
		k, format, err := p.OpenDisk(d)
		if err == nil {
			report.Format = format
			err = report.read(ctx, k)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			// The rest of the package is still worth telling.
			report.Error = err.Error()
		}
		r.Disks = append(r.Disks, report)
	}
	return nil
}

// fileName returns the name of the file that holds a disk, or the disk's ID.
func fileName(p *ovf.Package, d ovf.Disk) string {
	for _, f := range p.Files {
		if f.ID == d.File && d.File != "" {
			return f.Name
		}
	}
	return d.ID
}

// readImage inspects a disk image.
func (r *Report) readImage(ctx context.Context) error {
	k, format, closer, err := image.Open(r.Path)
	if err != nil {
		return err
	}
	defer closer.Close()
	r.Format = format
	d := Disk{Format: format}
	if err := d.read(ctx, k); err != nil {
		return err
	}
	// Every file can be a raw image; only its content tells.
	if format == "raw" && !d.recognised() && (r.Size == 0 || r.Size%512 != 0) {
		return fault.New(fault.Input, errors.New("it is no image of a known kind"),
			"disks are raw, qcow2, VMDK, VHD or VHDX; packages are OVA, or OVF by their .ovf; container images are archives")
	}
	r.Disks = []Disk{d}
	return nil
}
