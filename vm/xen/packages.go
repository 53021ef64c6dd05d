package xen

import (
	"fmt"
	"regexp"
	"strings"
)

// release is the series of Xen, which is part of its packages' names.
const release = "4.17"

// basePackages hold all that dom0 runs for PVH and PV guests. They are named one
// by one: what they depend on for other uses (Python, udev) is five times as
// much. The kernel comes besides, see kernelPackage.
var basePackages = []string{
	"xen-hypervisor-" + release + "-amd64", "xen-utils-" + release, "xenstore-utils", "grub-xen-host", "busybox-static",
	"libxenmisc" + release, "libxencall1", "libxendevicemodel1", "libxenevtchn1", "libxenforeignmemory1",
	"libxengnttab1", "libxenhypfs1", "libxenstore4", "libxentoolcore1", "libxentoollog1",
	"libyajl2", "libuuid1", "liblzma5", "libzstd1", "zlib1g", "libc6",
	"libgcc-s1", // by name at run time: xl ends a thread
}

// hvmPackage and all that it depends on is QEMU for HVM guests, with SeaBIOS.
const hvmPackage = "qemu-system-xen"

// kernelMeta depends on the package with dom0's kernel.
const kernelMeta = "linux-image-amd64"

var kernelDepends = regexp.MustCompile(`(?m)^\s*Depends: (linux-image-[0-9]\S*)$`)

// kernelPackage finds the kernel's package in what `apt-cache depends` says of
// kernelMeta.
func kernelPackage(depends string) (string, error) {
	m := kernelDepends.FindStringSubmatch(depends)
	if m == nil {
		return "", fmt.Errorf("the package %s leads to no kernel", kernelMeta)
	}
	return m[1], nil
}

// archive is a line of `apt-get --print-uris`: where a package file is, and its
// name NAME_VERSION_ARCH.deb, in which a colon is written %3a.
var archive = regexp.MustCompile(`(?m)^'[^']+' ([a-z0-9][^_ /]*_[^_ /]+_[a-z0-9]+)\.deb \d+`)

// pins returns the packages of such lines as `apt-get download` takes them:
// name=version.
func pins(uris string) []string {
	var list []string
	for _, m := range archive.FindAllStringSubmatch(uris, -1) {
		f := strings.Split(m[1], "_")
		list = append(list, f[0]+"="+strings.ReplaceAll(f[1], "%3a", ":"))
	}
	return list
}

// baseFiles and hvmFiles are what of the packages goes into dom0, as patterns
// of paths (path.Match).
var (
	libraryFiles = []string{
		"lib64/*", "lib/x86_64-linux-gnu/*.so*", "usr/lib/x86_64-linux-gnu/*.so*",
	}
	baseFiles = append([]string{
		"bin/busybox",
		"usr/bin/xenstore*",
		"usr/lib/xen-" + release + "/bin/xl",
		"usr/lib/xen-" + release + "/bin/xenstored",
		"usr/lib/xen-" + release + "/bin/xenconsoled",
		"usr/lib/xen-" + release + "/bin/xen-init-dom0",
		"usr/lib/xen-" + release + "/bin/libxl-save-helper",
		"usr/lib/grub-xen/grub-i386-xen_pvh.bin",
		"usr/lib/grub-xen/grub-x86_64-xen.bin",
	}, libraryFiles...)
	hvmFiles = append([]string{
		"usr/lib/xen-" + release + "/boot/hvmloader",
		"usr/libexec/xen-qemu-system-i386",
		"usr/share/seabios/bios-256k.bin",
		"usr/share/seabios/vgabios-cirrus.bin", // what xl chooses
		"usr/lib/ipxe/qemu/efi-rtl8139.rom",
		"usr/lib/ipxe/qemu/efi-e1000.rom",
		"usr/share/qemu/keymaps/en-us",
		"usr/share/qemu/kvmvapic.bin",
	}, libraryFiles...)
)

// modules are dom0's drivers, for the machine that QEMU makes and for the
// guest's devices.
var modules = []string{
	"virtio_pci", "virtio_blk", "virtio_net", "virtio_console",
	"xen-evtchn", "xen-gntdev", "xen-gntalloc", "xen-privcmd", "xenfs",
	"xen-blkback", "xen-netback", "bridge", "tun",
}
