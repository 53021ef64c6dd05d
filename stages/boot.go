package stages

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/disk/part"
	"github.com/imgbuild/imgbuild/kernel"
	"github.com/opencontainers/go-digest"
)

const kindBoot = "boot"

// groupSyslinux is the package whose files end up on the boot partition.
const groupSyslinux = "syslinux-common"

// Paths inside that package.
const (
	pathLdlinux = "usr/lib/syslinux/modules/bios/ldlinux.c32"
	pathGPTMBR  = "usr/lib/syslinux/mbr/gptmbr.bin"
)

// bootParams describe the boot partition.
type bootParams struct {
	Cmdline string `json:"cmdline"`
	Serial  string `json:"serial"` // FAT volume id, 8 hex digits
	Size    int64  `json:"size"`   // bytes; 0 is automatic
	Epoch   int64  `json:"epoch"`  // seconds
	XenPV   bool   `json:"xenPV"`  // boots as a paravirtual Xen guest
}

// bootMinimum is the smallest boot partition: FAT16 begins at 4085 clusters
// of one sector (Microsoft FAT specification, "FAT Type Determination").
const bootMinimum = 4 << 20

// boot adds the stage that makes the boot partition: a FAT filesystem with the
// kernel, SYSLINUX for BIOS, the EFI program for UEFI and a menu for GRUB on
// Xen.
func (s *set) boot(kernelInputs []builder.Input, efi string) string {
	r := s.Recipe.Recipe
	inputs := append([]builder.Input{}, kernelInputs...)
	inputs = append(inputs, s.packages(groupSyslinux, "syslinux")...)
	inputs = append(inputs, builder.Input{Role: "efi", Stage: efi, Output: "program"})
	return s.add(builder.Stage{
		Name:    "boot",
		Title:   "make the boot partition",
		Kind:    kindBoot,
		Version: 3,
		Tools:   s.versions("mkfs.fat", "mcopy", "syslinux", "xz"),
		Inputs:  inputs,
	}, bootParams{
		Cmdline: s.cmdline(),
		Serial:  s.id("boot").Encoded()[:8],
		Size:    int64(r.Disk.Boot.Size),
		Epoch:   s.Epoch.Unix(),
		XenPV:   len(r.Targets) == 0 || slices.Contains(r.Targets, "xen-pv"),
	})
}

// cmdline is the kernel command line of the appliance.
func (s *set) cmdline() string {
	return s.words("root=PARTUUID="+strings.ToLower(s.guid("root").String()),
		"rootfstype="+s.Recipe.Recipe.Disk.Root.Filesystem,
		"ro", "rootwait", "init=/init")
}

// ramCmdline is the kernel command line of the appliance without a disk. The
// filesystem of an initramfs is tmpfs unless another is named, and would be
// bounded by half of the memory.
func (s *set) ramCmdline() string {
	return s.words("rootfstype=ramfs", "ro", "rdinit=/init")
}

// words puts a kernel command line together. The console named last is the one
// that /dev/console is.
func (s *set) words(root ...string) string {
	r := s.Recipe.Recipe
	words := append(root,
		"console=hvc0", "console=ttyS0",
		"quiet", "panic=-1",
		"nvme_core.io_timeout=4294967295")
	words = append(words, isolation(r.Guest.Isolation)...)
	return strings.Join(append(words, r.Kernel.Cmdline...), " ")
}

// isolation returns the words of the kernel command line that keep memory from
// outliving its use (Documentation/admin-guide/kernel-parameters.txt): pages
// and slabs are zeroed when they are given out and again when they are freed,
// slabs of different kinds do not share pages, and Xen gets pages back scrubbed.
// Every kernel since 5.3 knows them, however it was configured.
func isolation(level string) []string {
	if level != "strict" {
		return nil
	}
	return []string{"init_on_alloc=1", "init_on_free=1", "slab_nomerge", "xen_scrub_pages=1"}
}

// id derives a stable identity from the recipe for a part of the appliance.
func (s *set) id(label string) digest.Digest {
	return digest.FromString(string(s.Recipe.Digest) + "\x00" + label)
}

func (s *set) guid(label string) part.GUID {
	return part.GUIDFrom([]byte(s.Recipe.Digest), label)
}

// makeBoot is the runner.
func (o Options) makeBoot(ctx context.Context, w *builder.Work) (builder.Outputs, error) {
	p, err := params[bootParams](w)
	if err != nil {
		return nil, err
	}
	syslinux, err := w.Store.Tree(ctx, layers(w, "syslinux")...)
	if err != nil {
		return nil, err
	}
	files, err := o.bootFiles(ctx, w, p)
	if err != nil {
		return nil, err
	}
	ldlinux, err := os.ReadFile(filepath.Join(syslinux, pathLdlinux))
	if err != nil {
		return nil, fmt.Errorf("reading SYSLINUX: %w", err)
	}
	files["ldlinux.c32"] = ldlinux

	image := filepath.Join(w.Dir, "boot.img")
	if err := writeFAT(ctx, w, image, p, files); err != nil {
		return nil, err
	}
	desc, err := putImage(ctx, w, image)
	if err != nil {
		return nil, err
	}
	mbr, err := putFile(ctx, w.Store, filepath.Join(syslinux, pathGPTMBR), mediaTypeBootCode)
	if err != nil {
		return nil, err
	}
	return builder.Outputs{"image": desc, "mbr": mbr}, nil
}

// bootFiles returns the content of the boot partition by path.
func (o Options) bootFiles(ctx context.Context, w *builder.Work, p bootParams) (map[string][]byte, error) {
	linux, err := readInput(ctx, w, "kernel")
	if err != nil {
		return nil, err
	}
	var initramfs []byte
	if _, ok := w.Inputs["initramfs"]; ok {
		if initramfs, err = readInput(ctx, w, "initramfs"); err != nil {
			return nil, err
		}
	}
	efi, err := readInput(ctx, w, "efi")
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{
		"vmlinuz":      linux,
		"syslinux.cfg": []byte(syslinuxMenu(p.Cmdline, initramfs != nil)),
		grubConfig:     []byte(grubMenu(p.Cmdline, initramfs != nil, false)),
	}
	if initramfs != nil {
		files["initramfs"] = initramfs
	}
	if len(efi) == 0 {
		return files, nil // no firmware starts it
	}
	files["EFI/BOOT/BOOTX64.EFI"] = efi
	if !p.XenPV {
		return files, nil
	}
	paravirtual, err := pvGrubKernel(ctx, w, linux)
	if err != nil {
		return nil, err
	}
	if paravirtual != nil {
		files[pvKernel] = paravirtual
		files[grubConfig] = []byte(grubMenu(p.Cmdline, initramfs != nil, true))
	}
	return files, nil
}

// syslinuxMenu is the whole configuration of SYSLINUX: no prompt, no menu.
func syslinuxMenu(cmdline string, initramfs bool) string {
	initrd := ""
	if initramfs {
		initrd = "  INITRD /initramfs\n"
	}
	return "DEFAULT appliance\nPROMPT 0\nTIMEOUT 0\nLABEL appliance\n  LINUX /vmlinuz\n" + initrd + "  APPEND " + cmdline + "\n"
}

// grubConfig is where GRUB-for-Xen looks for its menu.
const grubConfig = "boot/grub/grub.cfg"

// pvKernel is the kernel that GRUB-for-Xen starts in a paravirtual guest, packed
// by [pvPacker]: three quarters of what gzip makes of it.
const pvKernel = "vmlinux.xz"

// pvPacker packs as a kernel's own build does (scripts/xz_wrap.sh), but with a
// dictionary of 1 MiB: GRUB takes that much of the guest's memory to unpack, and
// 32 times as much would save 1 %. More than one thread would make more blocks.
var pvPacker = []string{"-T1", "--check=crc32", "--x86", "--lzma2=preset=9e,dict=1MiB"}

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

// grubMenu is read by GRUB on Xen, where the console is hvc0 and must be named
// last. Its progress indicator would fill that console.
func grubMenu(cmdline string, initramfs, paravirtual bool) string {
	cmdline = strings.Replace(cmdline, "console=hvc0 console=ttyS0", "console=ttyS0 console=hvc0", 1)
	menu := "set timeout=0\nset enable_progress_indicator=0\n"
	if paravirtual {
		menu += "if [ \"$grub_platform\" = xen ]; then\n  linux /" + pvKernel + " " + cmdline + "\nelse\n  linux /vmlinuz " + cmdline + "\nfi\n"
	} else {
		menu += "linux /vmlinuz " + cmdline + "\n"
	}
	if initramfs {
		menu += "initrd /initramfs\n"
	}
	return menu + "boot\n"
}
