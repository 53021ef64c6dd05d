package stages

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/fault"
)

const kindISO = "iso"

// groupIsolinux is the package of SYSLINUX's boot loader for CDs.
const groupIsolinux = "isolinux"

// Paths inside that package: the boot loader, and the boot sector by which a
// BIOS starts it from a USB stick.
const (
	pathIsolinux  = "usr/lib/ISOLINUX/isolinux.bin"
	pathIsohybrid = "usr/lib/ISOLINUX/isohdpfx.bin"
)

// isoParams describe the image.
type isoParams struct {
	Volume  string `json:"volume"`
	Cmdline string `json:"cmdline"`
	Serial  string `json:"serial"` // FAT volume id, 8 hex digits
	Epoch   int64  `json:"epoch"`  // seconds
}

// notInVolumes matches what a volume identifier cannot hold: it has d-characters
// (ECMA-119, 7.4.1).
var notInVolumes = regexp.MustCompile(`[^A-Z0-9_]`)

// iso adds the stage that makes the image of a CD.
func (s *set) iso(b *Build, kernelInputs []builder.Input) string {
	ram := inRAM(kernelInputs, s.ram(kernelInputs, b.Layers))
	inputs := append(ram, builder.Input{Role: "efi", Stage: s.ramEFI(b, kernelInputs), Output: "program"})
	inputs = append(inputs, s.packages(groupSyslinux, "syslinux")...)
	inputs = append(inputs, s.packages(groupIsolinux, "isolinux")...)
	const longest = 32 // of a volume identifier
	volume := notInVolumes.ReplaceAllString(strings.ToUpper(s.Recipe.Recipe.Name), "_")
	return s.add(builder.Stage{
		Name:    "iso",
		Title:   "make the image of a CD",
		Kind:    kindISO,
		Version: 1,
		Tools:   s.versions("xorriso", "mkfs.fat", "mmd", "mcopy"),
		Inputs:  inputs,
	}, isoParams{
		Volume:  volume[:min(len(volume), longest)],
		Cmdline: b.RAMCmdline,
		Serial:  s.id("iso").Encoded()[:8],
		Epoch:   s.Epoch.Unix(),
	})
}

// makeISO is the runner.
func (o Options) makeISO(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[isoParams](w)
	if err != nil {
		return nil, err
	}
	loader, err := w.Store.Tree(ctx, layers(w, "isolinux")...)
	if err != nil {
		return nil, err
	}
	tree := filepath.Join(w.Dir, "tree")
	if err := p.fill(ctx, w, tree, loader); err != nil {
		return nil, err
	}
	image := filepath.Join(w.Dir, "image.iso")
	args := []string{
		"-as", "mkisofs", "-quiet", "-r", "-V", p.Volume, "-o", image,
		"-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table",
		"--set_all_file_dates", "=" + strconv.FormatInt(p.Epoch, 10),
		"-eltorito-alt-boot", "-e", "boot/efi.img", "-no-emul-boot",
		"-isohybrid-mbr", filepath.Join(loader, pathIsohybrid), "-isohybrid-gpt-basdat",
		tree,
	}
	if err := runTool(ctx, w, atEpoch(p.Epoch), "xorriso", args...); err != nil {
		return nil, err
	}
	desc, err := putFile(ctx, w.Store, image, mediaTypeISO)
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"image": desc}, nil
}

// fill makes the files of the CD.
func (p isoParams) fill(ctx context.Context, w *builder.Work, tree, loader string) error {
	syslinux, err := w.Store.Tree(ctx, layers(w, "syslinux")...)
	if err != nil {
		return err
	}
	program, err := readInput(ctx, w, "efi")
	if err != nil {
		return err
	}
	if len(program) == 0 {
		return fault.New(fault.Input, errors.New("the kernel is an ELF, which neither BIOS nor UEFI starts"),
			"give the arch/x86/boot/bzImage of the same build")
	}
	for _, dir := range []string{"boot", "isolinux"} {
		if err := os.MkdirAll(filepath.Join(tree, dir), 0o755); err != nil {
			return err
		}
	}
	for name, from := range map[string]string{
		"isolinux/isolinux.bin": filepath.Join(loader, pathIsolinux), "isolinux/ldlinux.c32": filepath.Join(syslinux, pathLdlinux),
	} {
		text, err := os.ReadFile(from)
		if err != nil {
			return fmt.Errorf("reading SYSLINUX: %w", err)
		}
		if err := os.WriteFile(filepath.Join(tree, name), text, 0o644); err != nil {
			return err
		}
	}
	menu := syslinuxMenu("/boot", p.Cmdline, true)
	if err := os.WriteFile(filepath.Join(tree, "isolinux/isolinux.cfg"), []byte(menu), 0o644); err != nil {
		return err
	}
	for name, role := range map[string]string{"boot/vmlinuz": "kernel", "boot/initramfs": "initramfs"} {
		content, err := readInput(ctx, w, role)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(tree, name), content, 0o644); err != nil {
			return err
		}
	}
	// What UEFI looks into. Of an image above 65535 sectors xorriso tells the
	// catalog none, and UEFI reads on to the end of the CD then (UEFI
	// Specification 2.10, 13.3.2.1).
	files := map[string][]byte{"EFI/BOOT/BOOTX64.EFI": program}
	return writeFAT(ctx, w, filepath.Join(tree, "boot/efi.img"), bootParams{Serial: p.Serial, Epoch: p.Epoch}, files)
}
