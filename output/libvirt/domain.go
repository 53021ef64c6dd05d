package libvirt

import (
	"crypto/sha256"
	"encoding/xml"
	"fmt"

	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/qcow2"
)

// maxDisks is how many names from vda to vdz there are.
const maxDisks = 26

// domain is libvirt's description of a machine, in the order and by the names
// of "Domain XML format" in its documentation.
type domain struct {
	XMLName     xml.Name `xml:"domain"`
	Type        string   `xml:"type,attr"`
	Name        string   `xml:"name"`
	UUID        string   `xml:"uuid,omitempty"`
	Description string   `xml:"description,omitempty"`
	Memory      memory   `xml:"memory"`
	VCPU        int      `xml:"vcpu"`
	OS          system   `xml:"os"`
	ACPI        *empty   `xml:"features>acpi"`
	APIC        *empty   `xml:"features>apic"`
	CPU         cpu      `xml:"cpu"`
	Clock       clock    `xml:"clock"`
	Devices     devices  `xml:"devices"`
}

type empty struct{}

type memory struct {
	Unit string `xml:"unit,attr"`
	Size int64  `xml:",chardata"`
}

type system struct {
	// Firmware is "efi", or empty for BIOS.
	Firmware string `xml:"firmware,attr,omitempty"`
	Type     struct {
		Arch    string `xml:"arch,attr"`
		Machine string `xml:"machine,attr"`
		Kind    string `xml:",chardata"`
	} `xml:"type"`
	Boot struct {
		Dev string `xml:"dev,attr"`
	} `xml:"boot"`
}

type cpu struct {
	Mode string `xml:"mode,attr"`
}

type clock struct {
	Offset string `xml:"offset,attr"`
}

type devices struct {
	Disks     []diskDevice `xml:"disk"`
	Interface network      `xml:"interface"`
	Serial    typed        `xml:"serial"`
	Console   typed        `xml:"console"`
	Balloon   modelled     `xml:"memballoon"`
	RNG       rng          `xml:"rng"`
}

type diskDevice struct {
	Type   string `xml:"type,attr"`
	Device string `xml:"device,attr"`
	Driver struct {
		Name    string `xml:"name,attr"`
		Type    string `xml:"type,attr"`
		Discard string `xml:"discard,attr"`
	} `xml:"driver"`
	Source struct {
		File string `xml:"file,attr"`
	} `xml:"source"`
	Target struct {
		Dev string `xml:"dev,attr"`
		Bus string `xml:"bus,attr"`
	} `xml:"target"`
}

type network struct {
	Type   string `xml:"type,attr"`
	Source struct {
		Network string `xml:"network,attr"`
	} `xml:"source"`
	Model typed `xml:"model"`
}

type typed struct {
	Type string `xml:"type,attr"`
}

type modelled struct {
	Model string `xml:"model,attr"`
}

type rng struct {
	Model   string `xml:"model,attr"`
	Backend struct {
		Model string `xml:"model,attr"`
		File  string `xml:",chardata"`
	} `xml:"backend"`
}

// describe returns the domain of an appliance whose disk the host has at path.
// A disk that boots by both is booted by BIOS, which is the quicker.
func describe(a output.Appliance, stem string) ([]byte, error) {
	d := domain{
		Type: "kvm", Name: a.Name, UUID: uuid(a.Digest), Description: a.Description,
		Memory: memory{"KiB", (a.Memory + 1023) / 1024}, VCPU: max(a.CPUs, 1),
		ACPI: &empty{}, APIC: &empty{}, CPU: cpu{"host-model"}, Clock: clock{"utc"},
		Devices: devices{
			Interface: network{Type: "network", Model: typed{"virtio"}},
			Serial:    typed{"pty"}, Console: typed{"pty"}, Balloon: modelled{"virtio"}, RNG: rng{Model: "virtio"},
		},
	}
	d.OS.Type.Arch, d.OS.Type.Machine, d.OS.Type.Kind, d.OS.Boot.Dev = "x86_64", "q35", "hvm", "hd"
	if a.Firmware == "uefi" {
		d.OS.Firmware = "efi"
	}
	for i := range 1 + len(a.Disks) {
		k := diskDevice{Type: "file", Device: "disk"}
		k.Driver.Name, k.Driver.Type, k.Driver.Discard = "qemu", "qcow2", "unmap"
		k.Source.File, k.Target.Dev, k.Target.Bus = qcow2.DiskName(stem, i), "vd"+string(rune('a'+i)), "virtio"
		d.Devices.Disks = append(d.Devices.Disks, k)
	}
	d.Devices.Interface.Source.Network = "default"
	d.Devices.RNG.Backend.Model, d.Devices.RNG.Backend.File = "random", "/dev/urandom"
	text, err := xml.MarshalIndent(d, "", "  ")
	return append(text, '\n'), err
}

// uuid derives an identifier from the digest of the recipe, of version 8 (RFC
// 9562 section 5.8). Without one there is none: libvirt makes its own.
func uuid(digest string) string {
	if digest == "" {
		return ""
	}
	h := sha256.Sum256([]byte("libvirt domain " + digest))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}
