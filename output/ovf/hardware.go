package ovf

import (
	"fmt"
	"slices"

	"github.com/imgbuild/imgbuild/fault"
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
	itemAdapter // the first of them; further disks come after the last
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
			InstanceID: itemController, Subtype: m.controller.model, Type: m.controller.kind})
	items = append(items, d.drives(m)...)
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

// drives are the disks and, when there are properties, an empty CD drive; with
// the second IDE controller, if one is needed: for more than two drives, or for a
// CD beside disks of SCSI.
func (d *descriptor) drives(m machine) []item {
	var disks, cd []item
	second := item{Address: "1", Description: "IDE controller", ElementName: "IDE controller", InstanceID: itemCDController, Type: cimIDE}
	needed := false
	for i := range d.sizes {
		id := itemDisk
		if i > 0 {
			id = itemAdapter + len(d.networks()) + i - 1
		}
		parent, address := m.controller.place(i)
		needed = needed || parent == itemCDController
		disks = append(disks, item{AddressOnParent: fmt.Sprint(address), ElementName: fmt.Sprintf("Disk %d", i+1),
			HostResource: fmt.Sprintf("ovf:/disk/vmdisk%d", i+1), InstanceID: id, Parent: parent, Type: cimDisk})
	}
	if len(d.About.Properties) > 0 {
		parent, address := m.controller.place(len(d.sizes))
		if m.controller.kind == cimSCSI {
			second.Address, parent, address = "0", itemCDController, 0
		}
		needed = needed || parent == itemCDController
		cd = []item{{Required: "false", AddressOnParent: fmt.Sprint(address), Automatic: "false", ElementName: "CD 1",
			InstanceID: itemCD, Parent: parent, Type: cimCD}}
	}
	if needed && m.controller.kind == cimIDE {
		return slices.Concat([]item{second}, disks, cd)
	}
	if needed {
		return slices.Concat(disks, []item{second}, cd)
	}
	return slices.Concat(disks, cd)
}

// place is where the drive of that index, from zero, is plugged in: an IDE
// controller takes two, and SCSI controllers have the address 7 themselves.
func (c controller) place(i int) (parent, address int) {
	switch {
	case c.kind == cimIDE:
		return []int{itemController, itemCDController}[min(i/2, 1)], i % 2
	case c.kind == cimSCSI && i >= 7:
		return itemController, i + 1
	}
	return itemController, i
}

// fits refuses more drives than a controller takes: two IDE controllers take
// four, one of SCSI 15, one of SATA 30.
func (d *descriptor) fits() error {
	for _, m := range d.machines {
		drives, most := len(d.sizes), 15
		if m.controller.kind != cimSCSI && len(d.About.Properties) > 0 {
			drives++ // the CD
		}
		switch m.controller.kind {
		case cimIDE:
			most = 4
		case cimOtherStorage:
			most = 30
		}
		if drives > most {
			return fault.New(fault.Usage, fmt.Errorf("describing the machine: it has %d drives, and its %s takes %d", drives, m.controller.name, most),
				"choose another hypervisor, or fewer disks")
		}
	}
	return nil
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
