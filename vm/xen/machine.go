package xen

import "fmt"

// CPU is the processor that QEMU emulates: one with AMD's virtualisation and
// nested paging, without what QEMU's emulation lacks. MONITOR is left out since
// Xen faults on its MWAIT there.
const CPU = "EPYC,+svm,+npt,-monitor,-rdseed,-sha-ni,-fxsr-opt,-misalignsse,-3dnowprefetch,-osvw,-topoext,-nrip-save,-xsavec"

// Memory of dom0 and, besides it, of the hypervisor, in bytes.
const (
	dom0Memory    = 448 << 20
	dom0MemoryHVM = 704 << 20
	xenMemory     = 128 << 20
)

// MachineMemory returns the memory of a machine whose guest has guest bytes.
func MachineMemory(guest int64, hvm bool) int64 {
	if hvm {
		return guest + dom0MemoryHVM + xenMemory
	}
	return guest + dom0Memory + xenMemory
}

// Dom0Cmdline is the command line of dom0's kernel. A panic ends the machine.
const Dom0Cmdline = "console=hvc0 quiet panic=1"

// Cmdline returns the command line of the hypervisor. Its own idle loops use
// MWAIT; QEMU's SMAP and SMEP and Xen's mitigations of speculation do not go
// together with a paravirtual dom0 there.
func Cmdline(hvm bool) string {
	memory := int64(dom0Memory)
	if hvm {
		memory = dom0MemoryHVM
	}
	return fmt.Sprintf("console=com1 com1=115200 loglvl=warning guest_loglvl=warning dom0_mem=%[1]dM,max:%[1]dM dom0_max_vcpus=1 "+
		"cpuidle=0 mwait-idle=0 smap=0 smep=0 spec-ctrl=no", memory>>20)
}
