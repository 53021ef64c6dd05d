package vm

import (
	"context"
	"fmt"
	"os"

	"github.com/imgbuild/imgbuild/fault"
)

// prepareKernel finds the kernel that QEMU loads.
func prepareKernel(ctx context.Context, f *files, o Options, scratch string) error {
	if _, err := os.Stat(o.Kernel); err != nil {
		return fault.New(fault.Input, fmt.Errorf("looking for the kernel: %w", err))
	}
	f.kernel, f.initramfs, f.cmdline = o.Kernel, o.Initramfs, o.Cmdline
	return nil
}
