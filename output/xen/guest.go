package xen

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/xen/xlcfg"
)

// guest is what the configurations tell.
type guest struct {
	Options
	output.Appliance
	kernel, initramfs string
}

// maxDisks is how many the emulated SCSI controller of HVM takes.
const maxDisks = 7

// diskName is the name of the file of disk i.
func (g guest) diskName(i int) string {
	if i == 0 {
		return g.Name + "-xen.raw"
	}
	return fmt.Sprintf("%s-xen-disk%d.raw", g.Name, i+1)
}

// mode is a way to run.
type mode struct {
	name, kind string
	// loader is the file of GRUB-for-Xen; empty for other ways to boot.
	loader string
	direct bool
}

// modes are those that the guest has the files for.
func (g guest) modes() []mode {
	list := []mode{
		{name: "hvm", kind: "hvm"},
		{name: "pv", kind: "pv", loader: "grub-x86_64-xen.bin"},
		{name: "pvh", kind: "pvh", loader: "grub-i386-xen_pvh.bin"},
	}
	if g.kernel != "" {
		list = append(list, mode{name: "pv-direct", kind: "pv", direct: true}, mode{name: "pvh-direct", kind: "pvh", direct: true})
	}
	return list
}

// config returns a configuration.
func (g guest) config(m mode) []byte {
	var w xlcfg.Writer
	if g.Folder == "" {
		w.Comment("Call xl in the folder of this file: xl create -c " + g.Name + "." + m.name + ".cfg")
		w.Comment("A guest that reboots is not found again by these names: xl looks for them from / then.")
	}
	w.String("name", g.Name)
	w.String("type", m.kind)
	const mib = 1 << 20
	w.Int("memory", (g.Memory+mib-1)/mib)
	w.Int("vcpus", int64(g.CPUs))
	switch {
	case m.direct:
		w.String("kernel", g.place(g.kernel))
		if g.initramfs != "" {
			w.String("ramdisk", g.place(g.initramfs))
		}
		w.String("cmdline", consoleLast(g.Kernel.Cmdline))
	case m.loader != "":
		w.Comment("Debian has this file in the package grub-xen-host; elsewhere its place may differ.")
		w.String("kernel", path.Join(g.Grub, m.loader))
	default:
		g.firmware(&w)
	}
	var disks []string
	for i := range 1 + len(g.Disks) {
		disks = append(disks, "format=raw,vdev="+g.vdev(m, i)+",access=rw,target="+g.place(g.diskName(i)))
	}
	w.List("disk", disks...)
	w.List("vif", g.card())
	w.String("on_poweroff", "destroy")
	w.String("on_reboot", "restart")
	w.String("on_crash", "destroy")
	return w.Bytes()
}

// place is how the host finds a file.
func (g guest) place(name string) string { return path.Join(g.Folder, name) }

// vdev is the name of disk i. SeaBIOS reads it as a SCSI disk, which QEMU unplugs
// when the kernel's own driver takes it; of IDE it would read by port, many times
// slower, and an AHCI disk stays with the kernel, that loses it when the guest
// is saved and restored. OVMF has a driver of its own for Xen's disks.
func (g guest) vdev(m mode, i int) string {
	letter := string(rune('a' + i))
	if m.name == "hvm" && g.Firmware != "uefi" {
		return "sd" + letter
	}
	return "xvd" + letter
}

// firmware adds the emulated machine of HVM.
func (g guest) firmware(w *xlcfg.Writer) {
	if g.Firmware == "uefi" {
		w.String("firmware", "ovmf")
	} else {
		w.String("firmware", "bios")
	}
	w.String("boot", "c")
	w.String("serial", "pty")
	w.String("vga", "none")
}

// card is Xen's own network card, in HVM too: without an emulated one beside
// it.
func (g guest) card() string {
	card := "type=vif"
	if g.Bridge != "" {
		card += ",bridge=" + g.Bridge
	}
	return card
}

// consoleLast makes Xen's console the last one of a command line, which the
// kernel takes for /dev/console.
func consoleLast(cmdline string) string {
	const own, console = "console=hvc0", "console="
	words := slices.DeleteFunc(strings.Fields(cmdline), func(word string) bool { return word == own })
	at := 0
	for i, word := range words {
		if strings.HasPrefix(word, console) {
			at = i + 1
		}
	}
	return strings.Join(slices.Insert(words, at, own), " ")
}
