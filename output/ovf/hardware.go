package ovf

import (
	"fmt"

	"github.com/imgbuild/imgbuild/output"
)

// The identifiers of items that others refer to, or that a deployment option
// replaces.
const (
	itemCPU = iota + 1
	itemMemory
	itemController
	itemDisk
	itemCDController
	itemCD
	itemAdapter // the first of them
)

// isoTransport asks the hypervisor to hand the properties over on a CD
// (DSP0243 section 11.2).
const isoTransport = "iso"

// hardware is what one family of hypervisors is asked for.
func (d *descriptor) hardware(m machine) hardwareSection {
	s := hardwareSection{
		Info:   "The virtual hardware",
		System: systemElement{ElementName: "Virtual hardware family", Identifier: d.Name, Type: m.system},
		Items:  d.items(m),
	}
	if len(d.About.Properties) > 0 {
		s.Transport = isoTransport
	}
	if m.settings {
		s.Config = []config{{Required: "false", Key: "firmware", Value: d.firmware()}}
	}
	return s
}

// items are the processors and the memory, each in every deployment option;
// the disk with its controller; the CD that properties come on; and the
// network cards.
func (d *descriptor) items(m machine) []item {
	items := []item{m.processors(d.CPUs, ""), m.memory(d.Memory, "")}
	for _, c := range d.About.Configurations {
		if c.CPUs > 0 {
			items = append(items, m.processors(c.CPUs, c.ID))
		}
		if c.Memory > 0 {
			items = append(items, m.memory(c.Memory, c.ID))
		}
	}
	items = append(items,
		item{Address: "0", Description: m.controller.name, ElementName: m.controller.name,
			InstanceID: itemController, Subtype: m.controller.model, Type: m.controller.kind},
		item{AddressOnParent: "0", ElementName: "Disk 1", HostResource: "ovf:/disk/vmdisk1",
			InstanceID: itemDisk, Parent: itemController, Type: cimDisk})
	if len(d.About.Properties) > 0 {
		items = append(items, m.cd()...)
	}
	for i, n := range d.networks() {
		items = append(items, item{AddressOnParent: fmt.Sprint(7 + i), Automatic: "true", Connection: n.Name, Description: "Network card",
			ElementName: fmt.Sprintf("Ethernet %d", i+1), InstanceID: itemAdapter + i, Subtype: m.adapter, Type: cimEthernet})
	}
	return items
}

func (m machine) processors(n int, option string) item {
	it := item{Configuration: option, AllocationUnits: "hertz * 10^6", Description: "Number of processors",
		ElementName: fmt.Sprintf("%d processors", n), InstanceID: itemCPU, Type: cimCPU, Quantity: int64(n)}
	if m.shares {
		// The default share of a processor that nothing bounds.
		it.Limit, it.Reservation, it.Weight = 100_000, 1, 512
	}
	return it
}

func (m machine) memory(bytes int64, option string) item {
	n := (bytes + memoryStep*mib - 1) / (memoryStep * mib) * memoryStep
	it := item{Configuration: option, AllocationUnits: "byte * 2^20", Description: "Size of memory",
		ElementName: fmt.Sprintf("%d MiB of memory", n), InstanceID: itemMemory, Type: cimMemory, Quantity: n}
	if m.shares {
		it.Limit, it.Reservation, it.Weight = n, n, 512
	}
	return it
}

// cd is an empty CD drive: at the controller of the disk, unless that takes
// disks of SCSI only.
func (m machine) cd() []item {
	drive := item{Required: "false", AddressOnParent: "1", Automatic: "false", ElementName: "CD 1",
		InstanceID: itemCD, Parent: itemController, Type: cimCD}
	if m.controller.kind != cimSCSI {
		return []item{drive}
	}
	drive.AddressOnParent, drive.Parent = "0", itemCDController
	return []item{
		{Address: "0", Description: "IDE controller", ElementName: "IDE controller", InstanceID: itemCDController, Type: cimIDE},
		drive,
	}
}

// networks are those of the appliance, or the one that the importer's own
// mostly is called.
func (d *descriptor) networks() []output.NamedNetwork {
	if len(d.About.Networks) > 0 {
		return d.About.Networks
	}
	return []output.NamedNetwork{{Name: d.machines[0].network, Description: "The network of the appliance"}}
}

// firmware is VMware's word. A disk that boots by either starts by BIOS, which
// is the quicker one.
func (d *descriptor) firmware() string {
	if d.Firmware == "uefi" {
		return "efi"
	}
	return "bios"
}
