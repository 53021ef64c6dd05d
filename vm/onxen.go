package vm

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/vm/xen"
)

// onXen reports whether a real Xen stands between QEMU and the guest.
func (b Boot) onXen() bool { return b.xenMode() != "" }

// xenMode returns how the guest runs on Xen; empty for other ways.
func (b Boot) xenMode() xen.Mode {
	switch b {
	case XenPVH, XenPVHDirect:
		return xen.PVH
	case XenPV, XenPVDirect:
		return xen.PV
	case XenHVM:
		return xen.HVM
	}
	return ""
}

// validateXen refuses what a guest on Xen cannot have: its disk and its network
// card are Xen's, whose other ends in dom0 are virtio.
func (o Options) validateXen(wrong func(string, ...any)) {
	if o.Machine != Q35 {
		wrong("boot %s needs machine q35", o.Boot)
	}
	if o.Bus != Virtio {
		wrong("boot %s has Xen's own disk: leave the bus at virtio", o.Boot)
	}
	if o.NIC != VirtioNet && o.NIC != NoNIC {
		wrong("boot %s has Xen's own network card: leave it at virtio, or none", o.Boot)
	}
	if o.Accel == KVM {
		wrong("boot %s runs by emulation only", o.Boot)
	}
}

// xenFiles are what a machine with Xen needs.
type xenFiles struct {
	hypervisor, kernel, initramfs string // dom0's kernel and initramfs
	saved                         string // takes a saved guest
	control, console              int    // numbers of inherited sockets
}

// prepareXen makes dom0, with the guest in it.
func prepareXen(ctx context.Context, f *files, o Options, scratch string) error {
	mode := o.Boot.xenMode()
	host, err := xen.Make(ctx, xen.Options{Cache: o.Cache, HVM: mode == xen.HVM, Log: o.Log})
	if err != nil {
		return err
	}
	g := xen.Guest{Mode: mode, Memory: o.Memory, CPUs: o.CPUs, NIC: o.NIC != NoNIC, Disk: o.Disk != ""}
	if o.XL != nil {
		g.Config = o.XL
	} else if o.Boot.loaded() {
		var loaded files
		if err := prepareKernel(ctx, &loaded, o, scratch); err != nil {
			return err
		}
		g.Kernel, g.Initramfs, g.Cmdline = loaded.kernel, loaded.initramfs, loaded.cmdline
	}
	f.xen = xenFiles{
		hypervisor: host.Hypervisor, kernel: host.Kernel,
		initramfs: filepath.Join(scratch, "dom0"), saved: filepath.Join(scratch, "saved"),
	}
	for _, path := range []string{f.xen.hypervisor, f.xen.kernel, f.xen.initramfs} {
		if strings.ContainsAny(path, " ,") { // QEMU's list of modules cannot have them
			return fault.New(fault.Environment, fmt.Errorf("loading Xen: the path %q holds a space or a comma", path),
				"choose other folders by IMGBUILD_CACHE and TMPDIR")
		}
	}
	if err := packHost(host, g, f.xen.initramfs); err != nil {
		return err
	}
	return makeHole(f.xen.saved, o.Memory+savedMore)
}

// savedMore is what a saved guest takes beside its memory, at most: page
// numbers, processors, devices.
const savedMore = 64 << 20

func packHost(host *xen.Host, g xen.Guest, path string) error {
	out, err := os.Create(path)
	if err != nil {
		return fault.New(fault.Environment, fmt.Errorf("writing dom0: %w", err))
	}
	defer out.Close()
	b := bufio.NewWriterSize(out, 1<<20)
	if err := host.Pack(b, g); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return fault.New(fault.Environment, fmt.Errorf("writing dom0: %w", err))
	}
	return nil
}

// makeHole makes a file that takes no room until it is written to.
func makeHole(path string, size int64) error {
	out, err := os.Create(path)
	if err != nil {
		return fault.New(fault.Environment, fmt.Errorf("making room for a disk: %w", err))
	}
	defer out.Close()
	if err := out.Truncate(size); err != nil {
		return fault.New(fault.Environment, fmt.Errorf("making room for a disk: %w", err))
	}
	return nil
}

// savedDisk comes behind the guest's disk, which is dom0's first.
func savedDisk() []string {
	return []string{"-device", "virtio-blk-pci,drive=saved,serial=" + xen.SavedSerial}
}

// Size returns how many processors and how much memory, in bytes, the machine
// has that QEMU emulates: the guest's and, on Xen, those of dom0 and of the
// hypervisor.
func (o Options) Size() (cpus int, memory int64) {
	o = o.withDefaults()
	if !o.Boot.onXen() {
		return o.CPUs, o.Memory
	}
	return o.CPUs + 1, xen.MachineMemory(o.Memory, o.Boot == XenHVM)
}

// xenMachine is the board with Xen on it.
func xenMachine(o Options, f xenFiles) []string {
	cpus, memory := o.Size()
	return []string{
		"-machine", string(o.Machine), "-accel", "tcg,thread=multi", "-cpu", xen.CPU,
		"-smp", fmt.Sprint(cpus), "-m", fmt.Sprintf("%dM", memory>>20),
		"-kernel", f.hypervisor, "-append", xen.Cmdline(o.Boot == XenHVM),
		"-initrd", f.kernel + " " + xen.Dom0Cmdline + "," + f.initramfs,
		"-device", "virtio-serial-pci",
		"-chardev", fmt.Sprintf("socket,id=control,fd=%d", f.control),
		"-device", "virtserialport,chardev=control,name=" + xen.ControlPort,
		"-chardev", fmt.Sprintf("socket,id=guest,fd=%d", f.console),
		"-device", "virtserialport,chardev=guest,name=" + xen.ConsolePort,
		"-drive", "if=none,id=saved,format=raw,file=" + escape(f.saved),
	}
}

// connect makes the sockets to dom0.
func (x *Xen) connect(r *Running, f *files, l *lines, socket func() (net.Conn, int, error)) error {
	control, fd, err := socket()
	if err != nil {
		return err
	}
	f.xen.control = fd
	x.control = xen.NewControl(control, x.event)
	console, fd, err := socket()
	if err != nil {
		return err
	}
	f.xen.console = fd
	l.readers = append(l.readers, x.control.Serve, func() { r.console.read(console); console.Close() })
	return nil
}
