package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/kernel"
)

// prepareKernel finds the kernel that QEMU loads, its initramfs and its
// command line. What has to be copied goes to scratch.
func prepareKernel(ctx context.Context, f *files, o Options, scratch string) error {
	if o.Kernel != "" {
		f.kernel, f.initramfs, f.cmdline = o.Kernel, o.Initramfs, o.Cmdline
	} else if err := copyKernel(ctx, f, o, scratch); err != nil {
		return err
	}
	if o.Boot == PVH {
		return extractELF(ctx, f, scratch)
	}
	return nil
}

// copyKernel takes the kernel from the disk's boot partition.
func copyKernel(ctx context.Context, f *files, o Options, scratch string) error {
	part, err := openBootPartition(ctx, o.Disk)
	if err != nil {
		return err
	}
	defer part.Close()
	entry, err := part.menu(ctx)
	if err != nil {
		return err
	}
	f.kernel = filepath.Join(scratch, "vmlinuz")
	if err := part.copy(ctx, entry.kernel, f.kernel); err != nil {
		return err
	}
	if entry.initramfs != "" {
		f.initramfs = filepath.Join(scratch, "initramfs")
		if err := part.copy(ctx, entry.initramfs, f.initramfs); err != nil {
			return err
		}
	}
	f.cmdline = o.Cmdline
	if f.cmdline == "" {
		f.cmdline = entry.cmdline
		if o.Machine == MicroVM || o.Boot.onXen() {
			// The console named last is the one that init writes to, and
			// the one that this machine has is virtio, or Xen's.
			f.cmdline += " console=hvc0"
		}
	}
	return nil
}

// extractELF replaces a bzImage by the ELF within it.
func extractELF(ctx context.Context, f *files, scratch string) error {
	in, err := os.Open(f.kernel)
	if err != nil {
		return fault.New(fault.Input, fmt.Errorf("opening the kernel: %w", err))
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return fmt.Errorf("opening the kernel: %w", err)
	}
	f.kernel = filepath.Join(scratch, "vmlinux")
	out, err := os.Create(f.kernel)
	if err != nil {
		return fault.New(fault.Environment, fmt.Errorf("copying the kernel: %w", err))
	}
	defer out.Close()
	if err := kernel.ExtractELF(ctx, in, info.Size(), out); err != nil {
		return err
	}
	if info, err = out.Stat(); err != nil {
		return fmt.Errorf("copying the kernel: %w", err)
	}
	image, err := kernel.Identify(out, info.Size())
	if err != nil {
		return err
	}
	if !image.PVH {
		return fault.New(fault.Input, errors.New("booting by PVH: the kernel has no PVH entry"),
			"build it with CONFIG_PVH, or boot direct")
	}
	return nil
}
