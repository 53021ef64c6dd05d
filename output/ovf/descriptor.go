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
	machines []machine
	hash     hash
	signer   *signer // nil for none
	sizes    []int64 // of the disks, in bytes
}

// diskFile describes a VMDK.
type diskFile struct {
	name string
	// size is that of the file, populated that of the grains in it before
	// compression, in bytes.
	size, populated int64
	sum             string // of the file, in hexadecimal
}

// unwritten stand for files of any size.
func (d *descriptor) unwritten(stem string) []diskFile {
	var files []diskFile
	for i := range d.sizes {
		files = append(files, diskFile{diskName(stem, i), math.MaxInt64, math.MaxInt64, strings.Repeat("0", 2*d.hash.Size())})
	}
	return files
}

// diskName is the name of the file of a disk, which people count from one.
func diskName(stem string, i int) string { return fmt.Sprintf("%s-disk%d.vmdk", stem, i+1) }

// text returns the descriptor.
func (d *descriptor) text(files []diskFile) ([]byte, error) {
	if d.Memory <= 0 || d.CPUs <= 0 {
		return nil, fmt.Errorf("describing the machine: it has %d processors and %d bytes of memory", d.CPUs, d.Memory)
	}
	var b bytes.Buffer
	b.WriteString(xml.Header)
	e := xml.NewEncoder(&b)
	e.Indent("", "  ")
	if err := e.Encode(d.envelope(files)); err != nil {
		return nil, fmt.Errorf("describing the machine: %w", err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

func (d *descriptor) envelope(files []diskFile) envelope {
	e := envelope{
		Default: nsOVF, OVF: nsOVF, RASD: nsRASD, VSSD: nsVSSD, VMW: nsVMW, Lang: "en-US",
		Disks:    diskSection{Info: "The disks of the appliance"},
		Networks: networkSection{Info: "The networks of the appliance"},
		Options:  d.options(),
		System:   d.system(),
		Strings:  d.bundles(),
	}
	for i, f := range files {
		file := fmt.Sprintf("file%d", i+1)
		e.References = append(e.References, fileRef{Href: f.name, ID: file, Size: f.size})
		e.Disks.Disks = append(e.Disks.Disks, diskElement{
			// VMDK counts in sectors; importers compare the two capacities.
			Capacity: (d.sizes[i] + disk.SectorSize - 1) / disk.SectorSize * disk.SectorSize,
			Units:    "byte", ID: fmt.Sprintf("vmdisk%d", i+1), File: file, Format: diskFormat, Populated: f.populated,
		})
	}
	for _, n := range d.networks() {
		e.Networks.Networks = append(e.Networks.Networks,
			networkElement{n.Name, d.message("networks."+n.Name+".description", n.Description)})
	}
	return e
}

// options are the deployment options (DSP0243 section 9.8), or nil.
func (d *descriptor) options() *optionSection {
	if len(d.About.Configurations) == 0 {
		return nil
	}
	s := &optionSection{Info: "The sizes of the appliance"}
	for i, c := range d.About.Configurations {
		s.Options = append(s.Options, optionElement{
			ID: c.ID, Default: i == 0,
			Label:       d.message("configurations."+c.ID+".label", c.Label),
			Description: d.message("configurations."+c.ID+".description", c.Description),
		})
	}
	return s
}

func (d *descriptor) system() virtualSystem {
	s := virtualSystem{
		ID: d.Name, Info: "The virtual machine", Name: d.Name,
		Product: d.product(), Licenses: d.licenses(),
		OS: osSection{ID: cimLinux64, VMware: "other3xLinux64Guest", Info: "The operating system", Description: "Linux, 64 bit"},
	}
	for _, m := range d.machines {
		s.Hardware = append(s.Hardware, d.hardware(m))
	}
	if text := d.annotation(); text != "" {
		s.Annotation = &annotationSection{Info: "A description for people", Text: d.message("annotation", text)}
	}
	return s
}

// annotation is what people see of the appliance when they import it.
func (d *descriptor) annotation() string {
	if d.About.Annotation != "" {
		return d.About.Annotation
	}
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
