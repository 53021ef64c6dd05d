package ovf

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/output"
)

const (
	mib = 1 << 20
	// memoryStep is what VMware counts memory in, in MiB.
	memoryStep = 4
)

// descriptor makes the text of NAME.ovf. All but the sizes of the disk's file
// are known before the disk is written.
type descriptor struct {
	output.Appliance
	machine machine
	hash    hash
	size    int64 // of the disk, in bytes
}

// diskFile describes the VMDK.
type diskFile struct {
	name string
	// size is that of the file, populated that of the grains in it before
	// compression, in bytes.
	size, populated int64
}

// room is at least as long as the text for any sizes of the disk's file.
func (d *descriptor) room(name string) (int, error) {
	text, err := d.text(diskFile{name, math.MaxInt64, math.MaxInt64})
	return len(text), err
}

// text returns the descriptor.
func (d *descriptor) text(f diskFile) ([]byte, error) {
	if d.Memory <= 0 || d.CPUs <= 0 {
		return nil, fmt.Errorf("describing the machine: it has %d processors and %d bytes of memory", d.CPUs, d.Memory)
	}
	var b bytes.Buffer
	b.WriteString(xml.Header)
	e := xml.NewEncoder(&b)
	e.Indent("", "  ")
	if err := e.Encode(d.envelope(f)); err != nil {
		return nil, fmt.Errorf("describing the machine: %w", err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

func (d *descriptor) envelope(f diskFile) envelope {
	e := envelope{
		Default: nsOVF, OVF: nsOVF, RASD: nsRASD, VSSD: nsVSSD, VMW: nsVMW, Lang: "en-US",
		References: []fileRef{{Href: f.name, ID: "file1", Size: f.size}},
		Disks: diskSection{Info: "The disks of the appliance", Disk: diskElement{
			// VMDK counts in sectors; importers compare the two capacities.
			Capacity: (d.size + disk.SectorSize - 1) / disk.SectorSize * disk.SectorSize,
			Units:    "byte", ID: "vmdisk1", File: "file1", Format: diskFormat, Populated: f.populated,
		}},
		System: d.system(),
	}
	e.Networks.Info = "The networks of the appliance"
	e.Networks.Network.Name = d.machine.network
	e.Networks.Network.Description = d.machine.networkDescription
	return e
}

func (d *descriptor) system() virtualSystem {
	s := virtualSystem{
		ID: d.Name, Info: "The virtual machine", Name: d.Name,
		Product: productSection{Info: "The product", Product: d.Name, Vendor: d.Vendor, Version: d.Version, FullVersion: d.Version},
		OS:      osSection{ID: cimLinux64, VMware: "other3xLinux64Guest", Info: "The operating system", Description: "Linux, 64 bit"},
		Hardware: hardwareSection{
			Info:   "The virtual hardware",
			System: systemElement{ElementName: "Virtual hardware family", Identifier: d.Name, Type: d.machine.system},
			Items:  d.items(),
			Config: []config{{Required: "false", Key: "firmware", Value: d.firmware()}},
		},
	}
	if text := d.annotation(); text != "" {
		s.Annotation = &annotationSection{Info: "A description for people", Text: text}
	}
	return s
}

// items are the processors, the memory, the disk with its controller, and the
// network card.
func (d *descriptor) items() []item {
	memory := (d.Memory + memoryStep*mib - 1) / (memoryStep * mib) * memoryStep
	const controller = 3
	return []item{
		{AllocationUnits: "hertz * 10^6", Description: "Number of processors", ElementName: fmt.Sprintf("%d processors", d.CPUs),
			InstanceID: 1, Type: cimCPU, Quantity: int64(d.CPUs)},
		{AllocationUnits: "byte * 2^20", Description: "Size of memory", ElementName: fmt.Sprintf("%d MiB of memory", memory),
			InstanceID: 2, Type: cimMemory, Quantity: memory},
		{Address: "0", Description: d.machine.controllerName, ElementName: d.machine.controllerName,
			InstanceID: controller, Subtype: d.machine.controller, Type: d.machine.controllerType},
		{AddressOnParent: "0", ElementName: "Disk 1", HostResource: "ovf:/disk/vmdisk1",
			InstanceID: 4, Parent: controller, Type: cimDisk},
		{AddressOnParent: "7", Automatic: "true", Connection: d.machine.network, Description: "Network card",
			ElementName: "Ethernet 1", InstanceID: 5, Subtype: d.machine.adapter, Type: cimEthernet},
	}
}

// firmware is VMware's word. A disk that boots by either starts by BIOS, which
// is the quicker one.
func (d *descriptor) firmware() string {
	if d.Firmware == "uefi" {
		return "efi"
	}
	return "bios"
}

// annotation is what people see of the appliance when they import it.
func (d *descriptor) annotation() string {
	lines := []string{}
	if d.Description != "" {
		lines = append(lines, d.Description)
	}
	if len(d.Ports) > 0 {
		ports := strings.Trim(fmt.Sprint(d.Ports), "[]")
		lines = append(lines, "TCP ports: "+strings.ReplaceAll(ports, " ", ", "))
	}
	return strings.Join(lines, "\n")
}
