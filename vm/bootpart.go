package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/image"
	"github.com/imgbuild/imgbuild/disk/part"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/fat"
)

// maxMenu and maxBootFile bound what is read from a boot partition, in bytes.
const (
	maxMenu     = 1 << 20
	maxBootFile = 1 << 30
)

// menuPaths are where SYSLINUX looks for its configuration, in its order
// (doc/syslinux.txt, "CONFIGURATION FILE").
var menuPaths = [...]string{
	"/boot/syslinux/syslinux.cfg", "/syslinux/syslinux.cfg", "/syslinux.cfg",
}

// bootPartition is a FAT filesystem with a menu of SYSLINUX.
type bootPartition struct {
	closer io.Closer
	files  map[string]sanitize.File // by path in lower case: FAT knows no case
}

// openBootPartition finds the first partition of a disk that is a FAT
// filesystem with a menu on it.
func openBootPartition(ctx context.Context, path string) (*bootPartition, error) {
	wrong := func(err error) error {
		return fault.New(fault.Input, fmt.Errorf("reading the kernel of %s: %w", path, err),
			"name a kernel, or boot by the disk's own boot loader (bios or uefi)")
	}
	d, _, closer, err := image.Open(path)
	if err != nil {
		return nil, wrong(err)
	}
	b := &bootPartition{closer: closer}
	if err := b.find(ctx, d); err != nil {
		closer.Close()
		return nil, wrong(err)
	}
	return b, nil
}

// Close closes the disk.
func (b *bootPartition) Close() error { return b.closer.Close() }

// find fills in the files of the partition.
func (b *bootPartition) find(ctx context.Context, d disk.Reader) error {
	table, err := part.Parse(d)
	if err != nil {
		return err
	}
	for _, entry := range table.Entries {
		fs, err := fat.Driver{}.Open(ctx, disk.Section(d, entry.Off, entry.Len))
		if errors.Is(err, sanitize.ErrNotRecognized) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading partition %d: %w", entry.Index, err)
		}
		b.files = map[string]sanitize.File{}
		if walker, ok := fs.(sanitize.Walker); ok {
			err = walker.Walk(ctx, func(f sanitize.File) error {
				b.files[strings.ToLower(f.Path)] = f
				return nil
			})
		}
		if err != nil {
			return fmt.Errorf("reading partition %d: %w", entry.Index, err)
		}
		if b.menuPath() != "" {
			return nil
		}
	}
	return errors.New("no partition holds a menu of SYSLINUX")
}

// menuPath returns where the menu is; empty when there is none.
func (b *bootPartition) menuPath() string {
	for _, p := range menuPaths {
		if b.files[p].Open != nil {
			return p
		}
	}
	return ""
}

// menu reads what the boot loader would start. Paths in it are absolute.
func (b *bootPartition) menu(ctx context.Context) (bootEntry, error) {
	at := b.menuPath()
	var text bytes.Buffer
	if err := b.read(ctx, at, maxMenu, &text); err != nil {
		return bootEntry{}, err
	}
	entry, err := parseMenu(text.String())
	if err != nil {
		return bootEntry{}, fault.New(fault.Input, fmt.Errorf("reading %s: %w", at, err))
	}
	for _, p := range []*string{&entry.kernel, &entry.initramfs} {
		if *p != "" && !path.IsAbs(*p) {
			*p = path.Join(path.Dir(at), *p)
		}
	}
	return entry, nil
}

// copy copies a file of the partition.
func (b *bootPartition) copy(ctx context.Context, from, to string) error {
	out, err := os.Create(to)
	if err != nil {
		return fault.New(fault.Environment, fmt.Errorf("copying %s: %w", from, err))
	}
	if err := b.read(ctx, from, maxBootFile, out); err != nil {
		out.Close()
		return err
	}
	if err := out.Close(); err != nil {
		return fault.New(fault.Environment, fmt.Errorf("copying %s: %w", from, err))
	}
	return nil
}

// read writes a file of the partition to w.
func (b *bootPartition) read(ctx context.Context, name string, limit int64, w io.Writer) error {
	f := b.files[strings.ToLower(path.Clean(name))]
	switch {
	case f.Open == nil:
		return fault.New(fault.Input, fmt.Errorf("reading %s of the boot partition: no such file", name))
	case f.Size > limit:
		return fault.New(fault.Input, fmt.Errorf("reading %s of the boot partition: %d bytes are more than %d", name, f.Size, limit))
	}
	content, err := f.Open()
	if err != nil {
		return fmt.Errorf("reading %s of the boot partition: %w", name, err)
	}
	if _, err := io.Copy(w, io.NewSectionReader(content, 0, f.Size)); err != nil {
		return fmt.Errorf("copying %s of the boot partition: %w", name, err)
	}
	return ctx.Err()
}
