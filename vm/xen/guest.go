package xen

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
)

// Mode is how a guest runs on Xen.
type Mode string

// The modes.
const (
	PVH Mode = "pvh" // hardware virtualisation without an emulated machine
	PV  Mode = "pv"  // a kernel that knows Xen instead of the processor's privileges
	HVM Mode = "hvm" // an emulated machine with firmware
)

// Names of the virtio ports that lead to dom0.
const (
	ControlPort = "imgbuild.control"
	ConsolePort = "imgbuild.console"
)

// SavedSerial is the serial number of the virtio disk that takes a saved guest.
const SavedSerial = "saved"

// Guest is the one guest of a dom0.
type Guest struct {
	Mode Mode
	// Kernel is the path of a kernel that xl loads, with its Initramfs, which
	// may be empty, and Cmdline. Without one the guest boots from its disk.
	Kernel, Initramfs, Cmdline string
	Memory                     int64 // bytes, rounded down to MiB
	CPUs                       int
	NIC                        bool // a network card on the machine's network
	Disk                       bool // the machine's first virtio disk, as xvda
	// Config, when not nil, is what the guest is created by, instead of what
	// is above.
	Config *Config
}

// guestMAC is the address of the guest's card. The machine's own card has
// QEMU's default, 52:54:00:12:34:56.
const guestMAC = "52:54:00:12:34:57"

// Places of the guest's files in dom0.
const (
	configPath    = "guest/config"
	kernelPath    = "guest/kernel"
	initramfsPath = "guest/initramfs"
)

// loaders are what xl starts instead of a kernel: GRUB-for-Xen of the mode.
var loaders = map[Mode]string{
	PVH: "/usr/lib/grub-xen/grub-i386-xen_pvh.bin",
	PV:  "/usr/lib/grub-xen/grub-x86_64-xen.bin",
}

// config is the guest's configuration, xl.cfg(5). The time stamp counter is
// native because QEMU's emulation of AMD's virtualisation does not save the
// address of the next instruction, by which Xen would emulate RDTSCP.
func (g Guest) config() string {
	var b strings.Builder
	set := func(key string, value any) {
		text := fmt.Sprint(value)
		if s, ok := value.(string); ok {
			text = strconv.Quote(s)
		}
		fmt.Fprintf(&b, "%s = %s\n", key, text)
	}
	set("name", "guest")
	set("type", string(g.Mode))
	set("memory", g.Memory>>20)
	set("vcpus", g.CPUs)
	set("tsc_mode", "native")
	switch {
	case g.Kernel != "":
		set("kernel", "/"+kernelPath)
		if g.Initramfs != "" {
			set("ramdisk", "/"+initramfsPath)
		}
		set("cmdline", g.Cmdline)
	case g.Mode == HVM:
		set("device_model_version", "qemu-xen")
		set("vga", "none")
		set("serial", "file:/dev/guest-console")
		set("boot", "c")
	default:
		set("kernel", loaders[g.Mode])
	}
	if g.Disk {
		b.WriteString("disk = [\"format=raw,vdev=" + g.vdev() + ",access=rw,backendtype=phy,target=/dev/vda\"]\n")
	}
	if g.NIC {
		fmt.Fprintf(&b, "vif = [\"type=vif,mac=%s,bridge=guests\"]\n", guestMAC)
	}
	for _, on := range []string{"poweroff", "reboot", "crash"} {
		set("on_"+on, "destroy")
	}
	return b.String()
}

// vdev is the disk's name. To HVM it is a SCSI disk until the kernel's own driver
// takes it: SeaBIOS reads IDE by port, many times slower, and an AHCI disk is
// one that QEMU does not unplug (hw/i386/xen/xen_platform.c), so that the kernel
// would stay with it and lose it when the guest is saved and restored.
func (g Guest) vdev() string {
	if g.Mode == HVM {
		return "sda"
	}
	return "xvda"
}

// Pack writes dom0's initramfs with the guest in it.
func (h *Host) Pack(w io.Writer, g Guest) error {
	if g.Kernel != "" && g.Mode == HVM {
		return fault.New(fault.Usage, errors.New("an HVM guest boots from its disk: xl loads kernels for PVH and PV"))
	}
	for _, part := range h.initramfs {
		if err := appendFile(w, part); err != nil {
			return err
		}
	}
	a := newCPIO(w)
	if err := g.addTo(a); err != nil {
		return err
	}
	if err := a.close(); err != nil {
		return fault.New(fault.Environment, fmt.Errorf("writing the initramfs of dom0: %w", err))
	}
	return nil
}

// addTo adds the guest's configuration and its files.
func (g Guest) addTo(a *cpioWriter) error {
	if g.Config != nil {
		return g.Config.add(a, g.Mode)
	}
	a.bytes(configPath, []byte(g.config()), 0o644)
	for at, from := range map[string]string{kernelPath: g.Kernel, initramfsPath: g.Initramfs} {
		if from == "" {
			continue
		}
		if err := a.file(at, from, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func appendFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fault.New(fault.Environment, fmt.Errorf("opening dom0: %w", err))
	}
	defer f.Close()
	if _, err := io.Copy(w, f); err != nil {
		return fault.New(fault.Environment, fmt.Errorf("copying dom0: %w", err))
	}
	return nil
}
