package stages

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/kernel"
)

const kindParavirtual = "kernel paravirtual"

// paravirtualParams are none: the form follows from the kernel alone, so that
// one result serves the appliances of all recipes with this kernel.
type paravirtualParams struct{}

// paravirtual adds the stage that makes the form of the kernel for GRUB-for-Xen
// in paravirtual guests, unless the recipe's targets leave them out. The input
// it returns has the role that the boot partition reads.
func (s *set) paravirtual(kernelInputs []builder.Input) []builder.Input {
	targets := s.Recipe.Recipe.Targets
	if len(targets) > 0 && !slices.Contains(targets, "xen-pv") {
		return nil
	}
	return []builder.Input{from(s.add(builder.Stage{
		Name:    "paravirtual",
		Title:   "pack the kernel for Xen PV",
		Kind:    kindParavirtual,
		Version: 1,
		Tools:   s.versions("xz"),
		Inputs:  kernelInputs[:1],
	}, paravirtualParams{}), "paravirtual")}
}

// pvPacker packs as a kernel's own build does (scripts/xz_wrap.sh), but for the
// dictionary and the blocks. GRUB takes as much of the guest's memory as the
// dictionary has, and 32 MiB would save 1 %. Blocks are packed side by side:
// what is made depends on their size, not on the number of threads beyond one.
// Preset 9e would take a quarter more time to save 0.1 %.
var pvPacker = []string{"--threads=4", "--block-size=8MiB", "--check=crc32", "--x86", "--lzma2=preset=6,dict=1MiB"}

// packParavirtual is the runner. The output is empty when the kernel needs no
// other form, or cannot be a paravirtual guest.
func (o Options) packParavirtual(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	bzImage, err := readInput(ctx, w, "kernel")
	if err != nil {
		return nil, err
	}
	packed, err := pvGrubKernel(ctx, w, bzImage)
	if err != nil {
		return nil, err
	}
	desc, err := putBytes(ctx, w.Store, packed, mediaTypeKernel)
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"paravirtual": desc}, nil
}

// pvGrubKernel returns the form of the kernel for GRUB-for-Xen in paravirtual
// guests; nil when the kernel needs none, or cannot be such a guest.
func pvGrubKernel(ctx context.Context, w *builder.Work, bzImage []byte) ([]byte, error) {
	r := bytes.NewReader(bzImage)
	im, err := kernel.Identify(r, r.Size())
	if err != nil || !im.NeedsPVGrub() || !im.XenPV {
		return nil, err
	}
	plain := filepath.Join(w.Dir, "vmlinux")
	f, err := os.Create(plain)
	if err != nil {
		return nil, err
	}
	_, err = kernel.WritePVGrub(ctx, r, r.Size(), f)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("writing the kernel for paravirtual guests: %w", err)
	}
	if err := runTool(ctx, w, nil, "xz", append(pvPacker, plain)...); err != nil {
		return nil, err
	}
	return os.ReadFile(plain + ".xz")
}
