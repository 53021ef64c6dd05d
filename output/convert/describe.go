package convert

import (
	"fmt"
	"strings"

	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/ovf"
)

// What a machine has when nothing says otherwise.
const (
	defaultCPUs   = 1
	defaultMemory = 512 << 20
)

// describe makes the appliance, and notes what has no place in it.
func (r *Result) describe(o Options, t target, src *opened) output.Appliance {
	a := output.Appliance{Name: t.stem, CPUs: o.CPUs, Memory: o.Memory, Firmware: "any", Created: o.Created}
	var m ovf.Machine
	if src.Package != nil {
		m = r.machine(src)
	}
	for _, name := range src.Beside {
		r.lose("file", name)
	}
	if src.Layout != nil {
		r.lose("container image", "its names, labels and configuration")
	}
	if !t.machine {
		if src.Package != nil {
			r.loseAll(m)
		}
		return a
	}
	a.Disks = src.more
	a.Version, a.Vendor, a.Description, a.Firmware = m.Version, m.Vendor, m.Annotation, firmware(m.Firmware)
	if a.CPUs == 0 {
		a.CPUs = r.assume(m.CPUs > 0, m.CPUs, defaultCPUs, "%d processor")
	}
	if a.Memory == 0 {
		const mib = 1 << 20
		a.Memory = mib * int64(r.assume(m.Memory >= mib, int(m.Memory/mib), defaultMemory/mib, "%d MiB of memory"))
	}
	if src.Package == nil {
		r.Assumed = append(r.Assumed, "a disk that boots by BIOS and by UEFI", "a 64-bit Linux")
		return a
	}
	r.loseSome(m, a)
	return a
}

// assume returns what the source tells, or a default that is noted.
func (r *Result) assume(told bool, value, fallback int, text string) int {
	if told {
		return value
	}
	r.Assumed = append(r.Assumed, fmt.Sprintf(text, fallback))
	return fallback
}

// machine returns the machine that has the disks, and notes what else is in the
// package.
func (r *Result) machine(src *opened) ovf.Machine {
	var found *ovf.Machine
	for i, m := range src.Package.Machines {
		mine := false
		for _, d := range m.Disks {
			mine = mine || d == src.chosen[0].ID
		}
		if mine && found == nil {
			found = &src.Package.Machines[i]
		} else {
			r.lose("machine", m.ID)
		}
	}
	for _, d := range src.Package.Disks {
		if !has(src.chosen, d.ID) {
			r.lose("disk", fmt.Sprintf("%s of %d bytes", d.ID, d.Capacity))
		}
	}
	if found == nil {
		return ovf.Machine{}
	}
	return *found
}

// loseAll notes what a disk alone does not carry.
func (r *Result) loseAll(m ovf.Machine) {
	if m.CPUs > 0 {
		r.lose("processors", fmt.Sprint(m.CPUs))
	}
	if m.Memory > 0 {
		r.lose("memory", fmt.Sprintf("%d bytes", m.Memory))
	}
	r.lose("name", m.Name)
	r.lose("product", m.Product)
	r.lose("vendor", m.Vendor)
	r.lose("version", m.Version)
	r.lose("annotation", m.Annotation)
	r.lose("operating system", m.OS)
	r.lose("firmware", m.Firmware)
	r.lose("machine type", m.System)
	r.loseHardware(m)
}

// loseSome notes what the packages that are written do not carry.
func (r *Result) loseSome(m ovf.Machine, a output.Appliance) {
	if m.Name != a.Name {
		r.lose("name", m.Name)
	}
	if m.Product != a.Name {
		r.lose("product", m.Product)
	}
	if m.OS != "" && !strings.Contains(strings.ToLower(m.OS), "linux") {
		r.lose("operating system", m.OS)
	}
	r.lose("machine type", m.System)
	r.loseHardware(m)
}

// loseHardware notes models, for a package is written with those that fit its
// kind of importer; and what a guest of ours would not ask for.
func (r *Result) loseHardware(m ovf.Machine) {
	for _, c := range m.Controllers {
		r.lose("controller", c)
	}
	for _, n := range m.Adapters {
		r.lose("network card", strings.TrimSpace(n.Model+" on "+n.Network))
	}
	for _, p := range m.Properties {
		r.lose("property", p.Key)
	}
	if m.Licenses > 0 {
		r.lose("license agreements", fmt.Sprint(m.Licenses))
	}
}

func (r *Result) lose(what, value string) {
	if value != "" {
		r.Lost = append(r.Lost, what+": "+value)
	}
}

// firmware turns the words of descriptors into those of an appliance.
func firmware(word string) string {
	switch strings.ToLower(word) {
	case "efi", "uefi":
		return "uefi"
	case "bios":
		return "bios"
	}
	return "any"
}
