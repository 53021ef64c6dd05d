package vm

import (
	"fmt"
	"strings"
)

// files are the paths that a machine needs beyond its options. They are found
// or made when it starts.
type files struct {
	kernel, initramfs, cmdline string
	firmwareCode, firmwareVars string // of UEFI; vars is a private copy
	cd                         string // of the options' content
	second                     string
	// qmp and log are the numbers of inherited sockets, for the monitor and
	// for the log of the BIOS.
	qmp, log int
	xen      xenFiles
}

// arguments returns the command line of QEMU, without the program. It is a
// function of its parameters only; o has its defaults and accelerator.
func arguments(o Options, f files) []string {
	args := []string{"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"}
	if o.Boot.onXen() {
		args = append(args, xenMachine(o, f.xen)...)
	} else {
		args = append(args, board(o)...)
	}
	args = append(args, monitor(o, f)...)
	args = append(args, console(o)...)
	if o.Boot == UEFI {
		args = append(args,
			"-drive", "if=pflash,unit=0,format=raw,readonly=on,file="+escape(f.firmwareCode),
			"-drive", "if=pflash,unit=1,format=raw,file="+escape(f.firmwareVars))
	}
	if f.kernel != "" {
		args = append(args, "-kernel", f.kernel, "-append", f.cmdline)
		if f.initramfs != "" {
			args = append(args, "-initrd", f.initramfs)
		}
	}
	if o.Disk != "" {
		args = append(args, drive(o)...)
	}
	args = append(args, secondDrive(o, f.second)...)
	args = append(args, cd(o, f.cd)...)
	if o.Boot.onXen() {
		args = append(args, savedDisk()...)
	}
	args = append(args, network(o)...)
	args = append(args, balloon(o)...)
	return append(args, "-device", virtio(o, "virtio-rng"))
}

// board is the machine itself. TCG emulates every CPU feature that it can
// (-cpu max), one host thread for each guest processor. The hardware-reduced
// ACPI of an emulated microvm leaves a guest without a clock to find the speed
// of its processor by (KVM tells it): Linux 6.12 hangs there, so it goes.
func board(o Options) []string {
	machine := string(o.Machine)
	if o.Machine == MicroVM {
		machine += ",rtc=on"
	}
	if !o.hasButton() {
		machine += ",acpi=off"
	}
	accel, cpu := "tcg,thread=multi", "max"
	if o.Accel == KVM {
		accel, cpu = "kvm", "host"
	}
	return []string{
		"-machine", machine, "-accel", accel, "-cpu", cpu,
		"-smp", fmt.Sprint(o.CPUs), "-m", fmt.Sprintf("%dM", o.Memory>>20),
	}
}

// monitor is the control connection, and for a BIOS also its debug port: the
// one place where SeaBIOS tells a machine without a screen that nothing boots.
func monitor(o Options, f files) []string {
	args := []string{"-chardev", fmt.Sprintf("socket,id=qmp,fd=%d", f.qmp), "-mon", "chardev=qmp,mode=control"}
	if o.Boot == BIOS {
		args = append(args,
			"-chardev", fmt.Sprintf("socket,id=bios,fd=%d", f.log),
			"-device", "isa-debugcon,iobase=0x402,chardev=bios")
	}
	return args
}

// console is the first serial port, on the standard output of QEMU. microvm's
// serial port was seen to lose what user space writes; its console is virtio.
func console(o Options) []string {
	args := []string{"-chardev", "stdio,id=console,signal=off"}
	if o.Machine == MicroVM {
		return append(args, "-device", "virtio-serial-device", "-device", "virtconsole,chardev=console")
	}
	return append(args, "-serial", "chardev:console")
}

// drive attaches the disk.
func drive(o Options) []string {
	snapshot := "on"
	if o.Write {
		snapshot = "off"
	}
	args := []string{"-drive", fmt.Sprintf("if=none,id=disk,format=%s,snapshot=%s,file=%s", o.Format, snapshot, escape(o.Disk))}
	device := "drive=disk"
	if o.Boot == BIOS || o.Boot == UEFI {
		device += ",bootindex=0" // of a kernel that QEMU loads, that is its own
	}
	switch o.Bus {
	case NVMe:
		return append(args, "-device", "nvme,serial=imgbuild,"+device)
	case AHCI:
		return append(args, "-device", "ahci,id=ahci", "-device", "ide-hd,bus=ahci.0,"+device)
	case IDE:
		return append(args, "-device", "ide-hd,bus=ide.0,"+device)
	case SCSI:
		return append(args, "-device", "virtio-scsi-pci,id=scsi", "-device", "scsi-hd,bus=scsi.0,"+device)
	case PVSCSI:
		return append(args, "-device", "pvscsi,id=scsi", "-device", "scsi-hd,bus=scsi.0,"+device)
	case LSISAS:
		return append(args, "-device", "mptsas1068,id=scsi", "-device", "scsi-hd,bus=scsi.0,wwn="+diskWWN+","+device)
	case VirtioLegacy:
		return append(args, "-device", "virtio-blk-pci,"+legacy+","+device)
	default:
		return append(args, "-device", virtio(o, "virtio-blk")+","+device)
	}
}

// cd attaches the CD, to the second port of the board's own controller: the disk
// may be at the first.
func cd(o Options, path string) []string {
	if path == "" {
		return nil
	}
	args := []string{"-drive", "if=none,id=cd,format=raw,readonly=on,file=" + escape(path)}
	if o.Machine == MicroVM {
		return append(args, "-device", virtio(o, "virtio-blk")+",drive=cd")
	}
	return append(args, "-device", "ide-cd,bus=ide.1,drive=cd")
}

// The world-wide names of SAS disks: of those for local use, which begin with 3.
// Linux takes a phy without a name for unused.
const (
	diskWWN   = "0x3000000000000001"
	secondWWN = "0x3000000000000002"
)

// network attaches the card to QEMU's user-mode network. An empty romfile
// spares the firmware the search for a network boot.
func network(o Options) []string {
	if o.NIC == NoNIC {
		return []string{"-nic", "none"}
	}
	netdev := "user,id=net"
	for _, p := range o.Ports {
		netdev += fmt.Sprintf(",hostfwd=tcp:127.0.0.1:%d-:%d", p.Host, p.Guest)
	}
	device := string(o.NIC) + ",netdev=net"
	switch o.NIC {
	case VirtioNet:
		device = virtio(o, "virtio-net") + ",netdev=net"
	case VirtioNetLegacy:
		device = "virtio-net-pci," + legacy + ",netdev=net"
	}
	if o.Machine != MicroVM {
		device += ",romfile="
	}
	return []string{"-netdev", netdev, "-device", device}
}

// legacy makes a virtio device one of version 0.9 and nothing else.
const legacy = "disable-modern=on,disable-legacy=off"

// virtio names a virtio device by the machine's transport.
func virtio(o Options, name string) string {
	if o.Machine == MicroVM {
		return name + "-device"
	}
	return name + "-pci"
}

// escape doubles commas, which end a value in QEMU's option lists.
func escape(path string) string { return strings.ReplaceAll(path, ",", ",,") }
