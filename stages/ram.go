package stages

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/u-root/u-root/pkg/cpio"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/kernel"
	"github.com/imgbuild/imgbuild/kernel/init/config"
	"github.com/imgbuild/imgbuild/kernel/initramfs"
)

const kindRAM = "ram"

// ramParams describe the initramfs that is the whole root.
type ramParams struct {
	// DataSize bounds the memory filesystem that stands for the data
	// partition, in bytes; 0 is half of the memory.
	DataSize int64 `json:"dataSize,omitempty"`
	Epoch    int64 `json:"epoch"` // seconds
}

// ram adds the stage that puts the whole root into an initramfs, behind that of
// the kernel, if it has one.
func (s *set) ram(kernelInputs, stack []builder.Input) string {
	const name = "ram"
	if s.has(name) {
		return name
	}
	r := s.Recipe.Recipe
	inputs := slices.Concat(kernelInputs, roles("layer", stack), []builder.Input{
		{Role: "guest", Stage: StageConfig, Output: "config"},
	})
	if r.Kernel.File == "" {
		inputs = append(inputs, from(StageKernel, "config"))
	}
	p := ramParams{Epoch: s.Epoch.Unix()}
	if r.Disk.Data != nil {
		p.DataSize = int64(r.Disk.Data.Size)
	}
	return s.add(builder.Stage{
		Name:    name,
		Title:   "put the root into an initramfs",
		Kind:    kindRAM,
		Version: 1,
		Inputs:  inputs,
	}, p)
}

// inRAM replaces the initramfs among the inputs of what boots the kernel.
func inRAM(kernelInputs []builder.Input, ram string) []builder.Input {
	return []builder.Input{kernelInputs[0], {Role: "initramfs", Stage: ram, Output: "initramfs"}}
}

// ramEFI adds the stage that makes the EFI program of an appliance without a
// disk.
func (s *set) ramEFI(b *Build, kernelInputs []builder.Input) string {
	const name = "ram efi"
	if s.has(name) {
		return name
	}
	return s.efi(name, inRAM(kernelInputs, s.ram(kernelInputs, b.Layers)), b.RAMCmdline)
}

// makeRAM is the runner.
func (o Options) makeRAM(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[ramParams](w)
	if err != nil {
		return nil, err
	}
	tree, owners, err := openStack(ctx, w)
	if err != nil {
		return nil, err
	}
	guest, err := p.guest(ctx, w)
	if err != nil {
		return nil, err
	}
	compression, err := unpackedBy(ctx, w)
	if err != nil {
		return nil, err
	}
	desc, err := put(ctx, w.Store, mediaTypeInitramfs, func(out io.Writer) error {
		if err := copyFirst(ctx, w, out); err != nil {
			return err
		}
		a, err := initramfs.New(out, compression)
		if err != nil {
			return err
		}
		root := ramRoot{archive: a, tree: tree, owners: owners, time: uint64(p.Epoch)}
		if err := root.write(ctx, guest); err != nil {
			return err
		}
		return a.Close()
	})
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"initramfs": desc}, nil
}

// guest is init's configuration for a guest without disks: what would be a
// partition is a memory filesystem.
func (p ramParams) guest(ctx context.Context, w *builder.Work) ([]byte, error) {
	text, err := readInput(ctx, w, "guest")
	if err != nil {
		return nil, err
	}
	var g config.Guest
	if err := json.Unmarshal(text, &g); err != nil {
		return nil, fmt.Errorf("reading the guest's configuration: %w", err)
	}
	for i, m := range g.Mounts {
		if m.Source != "tmpfs" {
			g.Mounts[i] = config.Mount{Source: "tmpfs", Type: "tmpfs", Path: m.Path, Mode: m.Mode, UID: m.UID, GID: m.GID, Size: p.DataSize}
		}
	}
	return json.MarshalIndent(g, "", "  ")
}

// unpackedBy returns the compression that the kernel unpacks. One that nothing
// is known of gets an archive that is not compressed.
func unpackedBy(ctx context.Context, w *builder.Work) (kernel.Compression, error) {
	file, err := readInput(ctx, w, "kernel")
	if err != nil {
		return "", err
	}
	image, err := kernel.Identify(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return "", err
	}
	known, err := kernelConfig(ctx, w, image)
	return initramfs.Best(known), err
}

// copyFirst writes the kernel's own initramfs, up to where the next may begin.
func copyFirst(ctx context.Context, w *builder.Work, out io.Writer) error {
	desc, ok := w.Inputs["initramfs"]
	if !ok {
		return nil
	}
	b, err := w.Store.Open(ctx, desc)
	if err != nil {
		return err
	}
	defer b.Close()
	n, err := io.Copy(out, io.NewSectionReader(b, 0, b.Size()))
	if err != nil {
		return fmt.Errorf("copying the kernel's initramfs: %w", err)
	}
	_, err = out.Write(make([]byte, -n&(initramfs.Alignment-1)))
	return err
}

// ramRoot puts a tree into an archive.
type ramRoot struct {
	archive *initramfs.Writer
	tree    string
	owners  ownership
	time    uint64
}

// write adds the tree, with another configuration in place of init's.
func (r ramRoot) write(ctx context.Context, guest []byte) error {
	replaced := map[string][]byte{config.Path: guest}
	err := filepath.WalkDir(r.tree, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || path == r.tree {
			return err
		}
		name := strings.TrimPrefix(path, r.tree)
		if text, ok := replaced[name]; ok {
			r.archive.Add(r.file(name, text))
			return nil
		}
		return r.add(name)
	})
	if err != nil {
		return fmt.Errorf("packing the root: %w", err)
	}
	text, err := json.Marshal(config.RAM{Time: int64(r.time)})
	if err != nil {
		return err
	}
	r.archive.Add(r.file(config.RAMPath, append(text, '\n')))
	r.archive.Console()
	return nil
}

// file is a small file of root's.
func (r ramRoot) file(name string, text []byte) cpio.Record {
	return cpio.Record{ReaderAt: bytes.NewReader(text), Info: cpio.Info{
		Name: name[1:], Mode: cpio.S_IFREG | 0o644, MTime: r.time, FileSize: uint64(len(text)),
	}}
}

// add adds what is in the tree under a name.
func (r ramRoot) add(name string) error {
	path := filepath.Join(r.tree, name)
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		return err
	}
	o := r.owners[name]
	record := cpio.Record{Info: cpio.Info{
		Name: name[1:], Mode: uint64(st.Mode), UID: uint64(o.uid), GID: uint64(o.gid), MTime: r.time,
	}}
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFDIR:
	case syscall.S_IFLNK:
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		record.ReaderAt, record.FileSize = strings.NewReader(target), uint64(len(target))
	case syscall.S_IFREG:
		const most = 1<<32 - 1 // of the form newc
		if st.Size > most {
			return fmt.Errorf("%s has %d bytes, an initramfs holds files of up to 4 GiB", name, st.Size)
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		// The archive would close what can be closed, but not an empty file.
		record.ReaderAt, record.FileSize = struct{ io.ReaderAt }{f}, uint64(st.Size)
	default:
		return fmt.Errorf("%s is neither file, folder nor link", name)
	}
	r.archive.Add(record)
	return nil
}
