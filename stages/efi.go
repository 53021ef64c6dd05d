package stages

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/kernel/uki"
)

const kindEFI = "efi"

// groupStub is the package of the stub that an EFI program begins with.
const groupStub = "systemd-boot-efi"

// pathStub is where that package has it.
const pathStub = "usr/lib/systemd/boot/efi/linuxx64.efi.stub"

// efiParams describe the EFI program.
type efiParams struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Cmdline string `json:"cmdline"`
}

// efi adds a stage that makes an EFI program, a unified kernel image, and
// returns its name.
func (s *set) efi(name string, kernelInputs []builder.Input, cmdline string) string {
	r := s.Recipe.Recipe
	return s.add(builder.Stage{
		Name:    name,
		Title:   "make the EFI program",
		Kind:    kindEFI,
		Version: 1,
		Inputs:  append(append([]builder.Input{}, kernelInputs...), s.packages(groupStub, "stub")...),
	}, efiParams{Name: r.Name, Version: r.Version, Cmdline: cmdline})
}

// makeEFI is the runner. The program of a kernel that no firmware starts is
// empty: see takeELF.
func (o Options) makeEFI(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[efiParams](w)
	if err != nil {
		return nil, err
	}
	im := uki.Image{
		OSRelease: fmt.Appendf(nil, "ID=%s\nNAME=%q\nVERSION_ID=%q\n", p.Name, p.Name, p.Version),
		Cmdline:   p.Cmdline,
	}
	if im.Kernel, err = readInput(ctx, w, "kernel"); err != nil {
		return nil, err
	}
	var program []byte
	if !bytes.HasPrefix(im.Kernel, []byte(elf.ELFMAG)) {
		if program, err = buildEFI(ctx, w, im); err != nil {
			return nil, err
		}
	}
	desc, err := putBytes(ctx, w.Store, program, mediaTypeEFI)
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"program": desc}, nil
}

// buildEFI adds the stub and the initramfs.
func buildEFI(ctx context.Context, w *builder.Work, im uki.Image) ([]byte, error) {
	stub, err := w.Store.Tree(ctx, layers(w, "stub")...)
	if err != nil {
		return nil, err
	}
	if im.Stub, err = os.ReadFile(filepath.Join(stub, pathStub)); err != nil {
		return nil, fmt.Errorf("reading the EFI stub: %w", err)
	}
	if _, ok := w.Inputs["initramfs"]; ok {
		if im.Initramfs, err = readInput(ctx, w, "initramfs"); err != nil {
			return nil, err
		}
	}
	return uki.Build(im)
}
