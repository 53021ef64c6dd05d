package vm

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/vm/xen"
)

// Boot is the way that a machine comes to its kernel.
type Boot string

// The ways to boot.
const (
	BIOS   Boot = "bios"   // SeaBIOS and the disk's boot loader
	UEFI   Boot = "uefi"   // OVMF and the disk's boot loader
	Direct Boot = "direct" // QEMU loads the bzImage
	PVH    Boot = "pvh"    // QEMU loads the ELF within the bzImage
)

// The ways to boot on a real Xen, which QEMU emulates a machine for. See
// [Running.Xen].
const (
	XenPVH       Boot = "xen-pvh"        // GRUB-for-Xen from the disk
	XenPV        Boot = "xen-pv"         // the same
	XenHVM       Boot = "xen-hvm"        // SeaBIOS and the disk's boot loader
	XenPVHDirect Boot = "xen-pvh-direct" // xl loads the kernel
	XenPVDirect  Boot = "xen-pv-direct"  // the same
)

// Accel is how instructions of the guest are executed.
type Accel string

// The accelerators.
const (
	Auto Accel = "auto" // KVM when the canary passes, else TCG
	KVM  Accel = "kvm"  // by the processor
	TCG  Accel = "tcg"  // by emulation
)

// MachineType is the board that QEMU emulates.
type MachineType string

// The machine types.
const (
	Q35     MachineType = "q35"
	PC      MachineType = "pc"
	MicroVM MachineType = "microvm" // virtio-mmio only; Direct or PVH; emulated, it has no power button
)

// Bus is what the disk is attached to.
type Bus string

// The buses of the disk. SCSI is virtio-scsi.
const (
	Virtio       Bus = "virtio"
	VirtioLegacy Bus = "virtio-legacy" // virtio 0.9, as hypervisors before 2014 have it
	NVMe         Bus = "nvme"
	AHCI         Bus = "ahci"
	IDE          Bus = "ide"
	SCSI         Bus = "scsi"
	PVSCSI       Bus = "pvscsi"  // VMware's
	LSISAS       Bus = "lsi-sas" // LSI's SAS1068, which VMware emulates
)

// NIC is the model of the network card.
type NIC string

// The network cards. NoNIC leaves the guest without a network.
const (
	VirtioNet       NIC = "virtio"
	VirtioNetLegacy NIC = "virtio-legacy" // virtio 0.9
	E1000           NIC = "e1000"
	E1000E          NIC = "e1000e"
	VMXNet3         NIC = "vmxnet3"
	NoNIC           NIC = "none"
)

// Forward leads a TCP port of 127.0.0.1 to a port of the guest.
type Forward struct {
	Host  int `json:"host"` // 0 picks a free one
	Guest int `json:"guest"`
}

// Options describe a machine. The zero value of each field but Disk is a
// sensible choice; [New] fills it in.
type Options struct {
	// Disk is the path of the image. It may be empty when Kernel is set.
	Disk string
	// Format is "raw", "qcow2", "vmdk", "vhdx" or "vpc"; found by magic when
	// empty.
	Format string
	// Write lets the guest change the image. Without it, what the guest
	// writes goes to an overlay that is lost when the machine ends.
	Write bool
	// Bus of the disk; Virtio by default.
	Bus Bus
	// Second is a second disk, on the same bus.
	Second Second
	// CD is the content of a CD, a small one; without it there is no drive. A
	// MicroVM has no such drive: what is in it is one more disk there.
	CD []byte

	// Boot is BIOS by default; Direct when Kernel is set.
	Boot Boot
	// Kernel is the path of a bzImage or, for PVH, also of an ELF. It
	// replaces the kernel of the boot partition, which is then not read.
	Kernel string
	// Initramfs is the path of the initramfs that goes with Kernel.
	Initramfs string
	// Cmdline is the kernel command line of Direct and PVH. When empty, it
	// is the boot loader's.
	Cmdline string

	// XL, when not nil, is a configuration of xl that a guest on Xen is
	// created by, as it is; Boot, Memory and CPUs are to be what it says.
	XL *xen.Config

	// Machine is Q35 by default.
	Machine MachineType
	// Accel is Auto by default.
	Accel Accel
	// Memory is the guest's, in bytes; 512 MiB by default.
	Memory int64
	// CPUs is the number of processors; 1 by default.
	CPUs int
	// NIC is VirtioNet by default.
	NIC NIC
	// Ports are the ports to forward.
	Ports []Forward

	// Console, when not nil, receives what the guest writes to its console,
	// byte by byte.
	Console io.Writer
	// StopTimeout is how long Stop waits after the power button; 30 s by
	// default, on Xen 5 minutes.
	StopTimeout time.Duration
	// QEMU is the program; "qemu-system-x86_64" by default.
	QEMU string
	// Cache is the folder that keeps the verdict of the accelerator probe,
	// and Xen; the user's cache folder by default.
	Cache string
	// Scratch is the folder for what the machine needs while it runs; the
	// system's for temporary files by default.
	Scratch string
	// Log, when not nil, is told of what takes long before the start.
	Log func(string) `json:"-"`
}

// The defaults of Options, and the least memory that QEMU's boards start in.
const (
	DefaultMemory      = 512 << 20
	DefaultStopTimeout = 30 * time.Second
	DefaultQEMU        = "qemu-system-x86_64"
	minMemory          = 16 << 20
)

// withDefaults returns o with nothing left open that can be decided without a
// look at the host.
func (o Options) withDefaults() Options {
	if o.Boot == "" {
		o.Boot = BIOS
		if o.Kernel != "" {
			o.Boot = Direct
		}
	}
	set(&o.Bus, Virtio)
	set(&o.Machine, Q35)
	set(&o.Accel, Auto)
	set(&o.Memory, DefaultMemory)
	set(&o.CPUs, 1)
	set(&o.NIC, VirtioNet)
	set(&o.StopTimeout, o.stopTimeout())
	set(&o.QEMU, DefaultQEMU)
	return o
}

// set gives a field that was left open its default.
func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// validate tells everything that is wrong with the options at once.
func (o Options) validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	oneOf(wrong, "boot", o.Boot, BIOS, UEFI, Direct, PVH, XenPVH, XenPV, XenHVM, XenPVHDirect, XenPVDirect)
	oneOf(wrong, "bus", o.Bus, Virtio, VirtioLegacy, NVMe, AHCI, IDE, SCSI, PVSCSI, LSISAS)
	oneOf(wrong, "machine", o.Machine, Q35, PC, MicroVM)
	oneOf(wrong, "accelerator", o.Accel, Auto, KVM, TCG)
	oneOf(wrong, "network card", o.NIC, VirtioNet, VirtioNetLegacy, E1000, E1000E, VMXNet3, NoNIC)
	oneOf(wrong, "format", o.Format, "", "raw", "qcow2", "vmdk", "vhdx", "vpc")

	loaded := o.Boot.loaded()
	if o.Disk == "" && (o.Kernel == "" || !loaded) {
		wrong("a machine needs a disk, or a kernel to boot directly")
	}
	if !loaded && (o.Kernel != "" || o.Initramfs != "" || o.Cmdline != "") {
		wrong("kernel, initramfs and command line are of no use with boot %s", o.Boot)
	}
	if o.Initramfs != "" && o.Kernel == "" {
		wrong("an initramfs needs its kernel beside it")
	}
	if o.Boot.onXen() {
		o.validateXen(wrong)
		if len(o.CD) > 0 {
			wrong("boot %s has no CD drive", o.Boot)
		}
		if o.Second.any() {
			wrong("boot %s has no second disk here", o.Boot)
		}
	}
	if o.XL != nil && !o.Boot.onXen() {
		wrong("a configuration of xl is of no use with boot %s", o.Boot)
	}
	if o.Machine == MicroVM {
		if !loaded {
			wrong("machine microvm has no firmware for boot %s: use direct or pvh", o.Boot)
		}
		if o.Bus != Virtio || (o.NIC != VirtioNet && o.NIC != NoNIC) {
			wrong("machine microvm has modern virtio devices only")
		}
	}
	if o.Bus == IDE && o.Machine != PC {
		wrong("bus ide needs machine pc")
	}
	if o.Memory < minMemory {
		wrong("%d bytes of memory are fewer than %d MiB", o.Memory, minMemory>>20)
	}
	if o.CPUs < 1 || o.CPUs > 255 {
		wrong("%d processors are not between 1 and 255", o.CPUs)
	}
	for _, p := range o.Ports {
		if p.Host < 0 || p.Host > 65535 || p.Guest < 1 || p.Guest > 65535 {
			wrong("port forward %d to %d is out of range", p.Host, p.Guest)
		}
	}
	if len(o.Ports) > 0 && o.NIC == NoNIC {
		wrong("ports cannot be forwarded without a network card")
	}
	return fault.New(fault.Usage, errors.Join(errs...))
}

func (o Options) stopTimeout() time.Duration {
	if o.Boot.onXen() {
		return DefaultStopTimeout * slowness
	}
	return DefaultStopTimeout
}

// loaded reports whether the kernel is handed over instead of read by a boot
// loader.
func (b Boot) loaded() bool {
	return b == Direct || b == PVH || b == XenPVHDirect || b == XenPVDirect
}

// hasButton reports whether the machine has a power button, which is ACPI's.
func (o Options) hasButton() bool { return o.Machine != MicroVM || o.Accel == KVM }

// oneOf complains when value is not among the allowed.
func oneOf[T ~string](wrong func(string, ...any), what string, value T, allowed ...T) {
	for _, a := range allowed {
		if value == a {
			return
		}
	}
	wrong("%s %q is not one of %q", what, string(value), allowed)
}
