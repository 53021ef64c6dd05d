// Package vm boots a disk in a virtual machine and checks that it works. It is
// what stands behind `imgbuild run` and `imgbuild test`.
//
// # Machine
//
// [New] takes [Options], fills in what is left open and refuses what cannot
// work; [Machine.Start] starts QEMU and returns at once with a [Running].
//
//	m, err := vm.New(vm.Options{Disk: "hello.raw", Ports: []vm.Forward{{Guest: 8080}}})
//	r, err := m.Start(ctx)
//	defer r.Kill()
//	line, err := r.Console().Wait(ctx, func(l vm.Line) bool { return l.Text == "ready" })
//	err = r.Stop(ctx)
//
// The image file is never changed unless Options.Write is set: the guest
// writes to an overlay that vanishes with it. Forwarded ports are bound on
// 127.0.0.1 only. QEMU dies with its context, and with this process.
//
// # Ways to boot
//
// [BIOS] and [UEFI] take the road of a real machine, boot loader included.
// [Direct] hands QEMU the bzImage that stands in the disk's boot partition,
// with the command line of the boot loader there; [PVH] hands it the ELF from
// within that bzImage, which spares the guest its own decompression.
//
// [XenPVH], [XenPV] and [XenHVM] boot the disk on a real Xen, which QEMU emulates
// a machine for (see package xen); [XenPVHDirect] and [XenPVDirect] hand the
// disk's kernel to xl. [Running.Xen] then has what xl can do with a guest besides:
// save it and restore it.
//
// # Accelerator
//
// [Auto] asks [Probe], which trusts no /dev/kvm that merely opens: some hosts
// offer one that cannot run a kernel. A canary guest executes the instructions
// that were seen to fail there; only if it comes back within seconds is KVM
// used. Otherwise the machine is emulated, and [Running.Accel] says why.
//
// # Story
//
// The console is kept as [Line]s. What init prints by the contract of
// kernel/init/config becomes a [Timeline] and its [Phase]s; a kernel panic, or a firmware that
// finds nothing to boot, becomes the machine's failure at once: [Running.Failed]
// is closed and the machine ended, so that nobody waits for a timeout.
//
// # Checks
//
// [Running.Check] makes the checks of a recipe against a running machine, all
// at the same time, and returns a [Report] with one [Result] for each;
// [Running.Test] switches the machine off as well. The room target names the
// machines that an appliance is meant for, and matrix tests one disk on many of
// them and writes the reports.
package vm
