package stages

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/builder"
	"github.com/imgbuild/imgbuild/disk/part"
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
}

// bootMinimum is the smallest boot partition: FAT16 begins at 4085 clusters
// of one sector (Microsoft FAT specification, "FAT Type Determination").
const bootMinimum = 4 << 20

// boot adds the stage that makes the boot partition: a FAT filesystem with the
// kernel, SYSLINUX for BIOS, the EFI program for UEFI and a menu for GRUB on
// Xen.
func (s *set) boot(kernelInputs []builder.Input, efi string) string {
	r := s.Recipe.Recipe
	inputs := slices.Concat(kernelInputs, s.paravirtual(kernelInputs))
	inputs = append(inputs, s.packages(groupSyslinux, "syslinux")...)
	inputs = append(inputs, builder.Input{Role: "efi", Stage: efi, Output: "program"})
	return s.add(builder.Stage{
		Name:    "boot",
		Title:   "make the boot partition",
		Kind:    kindBoot,
		Version: 4,
		Tools:   s.versions("mkfs.fat", "mcopy", "syslinux"),
		Inputs:  inputs,
	}, bootParams{
		Cmdline: s.cmdline(),
		Serial:  s.id("boot").Encoded()[:8],
		Size:    int64(r.Disk.Boot.Size),
		Epoch:   s.Epoch.Unix(),
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
	files, err := bootFiles(ctx, w, p.Cmdline)
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
	if err := runTool(ctx, w, atEpoch(p.Epoch), "syslinux", "-i", image); err != nil {
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
func bootFiles(ctx context.Context, w *builder.Work, cmdline string) (map[string][]byte, error) {
	in := map[string][]byte{"kernel": nil, "efi": nil, "initramfs": nil, "paravirtual": nil}
	for role := range in {
		if _, ok := w.Inputs[role]; !ok && (role == "initramfs" || role == "paravirtual") {
			continue
		}
		var err error
		if in[role], err = readInput(ctx, w, role); err != nil {
			return nil, err
		}
	}
	initramfs, paravirtual := len(in["initramfs"]) > 0, len(in["paravirtual"]) > 0
	files := map[string][]byte{
		"vmlinuz":      in["kernel"],
		"syslinux.cfg": []byte(syslinuxMenu("", cmdline, initramfs)),
		grubConfig:     []byte(grubMenu(cmdline, initramfs, paravirtual)),
	}
	for role, path := range map[string]string{
		"initramfs":   "initramfs",
		"efi":         "EFI/BOOT/BOOTX64.EFI", // empty when no firmware starts the kernel
		"paravirtual": pvKernel,               // empty when GRUB starts the kernel as it is
	} {
		if len(in[role]) > 0 {
			files[path] = in[role]
		}
	}
	return files, nil
}

// syslinuxMenu is the whole configuration of SYSLINUX: no prompt, no menu. The
// kernel lies in the folder dir.
func syslinuxMenu(dir, cmdline string, initramfs bool) string {
	initrd := ""
	if initramfs {
		initrd = "  INITRD " + dir + "/initramfs\n"
	}
	return "DEFAULT appliance\nPROMPT 0\nTIMEOUT 0\nLABEL appliance\n  LINUX " + dir + "/vmlinuz\n" + initrd + "  APPEND " + cmdline + "\n"
}

// grubConfig is where GRUB-for-Xen looks for its menu.
const grubConfig = "boot/grub/grub.cfg"

// pvKernel is the kernel that GRUB-for-Xen starts in a paravirtual guest, packed
// by [pvPacker]: three quarters of what gzip makes of it.
const pvKernel = "vmlinux.xz"

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
