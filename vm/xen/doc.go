// Package xen makes a real Xen to boot a disk on: the hypervisor, and a dom0
// that runs one guest, from Debian's packages and without a change to the host.
//
//	host, err := xen.Make(ctx, xen.Options{Cache: dir, HVM: true})
//	err = host.Pack(file, xen.Guest{Mode: xen.PVH, Memory: 512 << 20})
//
// [Make] returns three files that QEMU loads as a boot loader would (Xen is a
// multiboot kernel, dom0's kernel and initramfs are its modules): [Host]. They
// are made once and kept in the cache folder. [Host.Pack] writes an initramfs of
// its own for each machine, dom0's with the [Guest] in it.
//
// # dom0
//
// dom0 is Debian's kernel and one shell script, dom0/init. It makes a bridge of
// its network card and the guest's, so that the guest stands in the network of
// the machine as if Xen were not there; creates the guest on the machine's first
// virtio disk; leads its console to the virtio port [ConsolePort]; and obeys
// [ControlPort], whose other end is a [Control].
//
// # Ways to boot
//
// A guest of Mode [PVH] or [PV] without a kernel boots from its disk through
// GRUB-for-Xen, which reads /boot/grub/grub.cfg; of Mode [HVM] through hvmloader
// and SeaBIOS, as a machine of its own would.
//
// # Emulation
//
// Nothing here needs a processor with virtualisation: QEMU emulates one, and
// Xen's own nested paging runs on it. [CPU] and [Host.Cmdline] leave out what
// that emulation lacks.
package xen
