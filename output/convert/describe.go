package convert

import (
	"fmt"
	"strings"

	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/ovf"
	"github.com/imgbuild/imgbuild/output/source"
)

// facts are what a description tells of a machine beside its disks.
type facts uint

const (
	named facts = 1 << iota
	described
	vendor
	version
	processors
	memory
	bootFirmware
	system // that it runs Linux
	asked  // what people are told and asked
)

// What a machine has when nothing says otherwise.
const (
	defaultCPUs   = 1
	defaultMemory = 512 << 20
)

// describe makes the appliance, and notes what has no place in it.
func (r *Result) describe(o Options, t target, src *opened) output.Appliance {
	var m ovf.Machine
	if src.Package != nil {
		m = r.machine(src)
	}
	r.loseBeside(src.Source, "")
	for i, s := range src.others {
		r.loseBeside(s, " of "+o.More[i])
		if s.Package != nil {
			r.lose("description", s.Package.Descriptor+" of "+o.More[i])
		}
	}
	a := output.Appliance{
		Name: t.stem, Version: m.Version, Vendor: m.Vendor, Description: m.Annotation,
		CPUs: o.CPUs, Memory: o.Memory, Firmware: firmware(m.Firmware), Created: o.Created, Disks: src.more,
	}
	if a.CPUs == 0 {
		a.CPUs = r.assume(m.CPUs > 0 || t.carries&processors == 0, m.CPUs, defaultCPUs, "%d processor")
	}
	if a.Memory == 0 {
		const mib = 1 << 20
		a.Memory = mib * int64(r.assume(m.Memory >= mib || t.carries&memory == 0, int(m.Memory/mib), defaultMemory/mib, "%d MiB of memory"))
	}
	if src.Package != nil {
		r.loseFacts(m, t)
		if t.carries&asked != 0 {
			a.About = r.about(m, t.stem)
		} else {
			r.loseAsked(m)
		}
		for _, o := range src.Package.Options {
			if !o.Default {
				r.lose("deployment option", o.ID)
			}
		}
		for _, language := range src.Package.Languages {
			r.lose("translation", language)
		}
		return a
	}
	if t.carries&bootFirmware != 0 {
		r.Assumed = append(r.Assumed, "a disk that boots by BIOS and by UEFI")
	}
	if t.carries&system != 0 {
		r.Assumed = append(r.Assumed, "a 64-bit Linux")
	}
	return a
}

// loseBeside notes what lies beside the disks of a source.
func (r *Result) loseBeside(s *source.Source, of string) {
	for _, name := range s.Beside {
		r.lose("file", name+of)
	}
	if s.Layout != nil {
		r.lose("container image", "its names, labels and configuration"+of)
	}
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

// loseFacts notes what the new format does not carry of a machine.
func (r *Result) loseFacts(m ovf.Machine, t target) {
	unless := func(f facts, what, value string) {
		if t.carries&f == 0 {
			r.lose(what, value)
		}
	}
	if m.CPUs > 0 {
		unless(processors, "processors", fmt.Sprint(m.CPUs))
	}
	if m.Memory > 0 {
		unless(memory, "memory", fmt.Sprintf("%d bytes", m.Memory))
	}
	if t.carries&named == 0 || m.Name != t.stem {
		r.lose("name", m.Name)
	}
	if m.Product != t.stem || t.carries&named == 0 {
		unless(asked, "product", m.Product)
	}
	unless(vendor, "vendor", m.Vendor)
	unless(version, "version", m.Version)
	unless(described, "annotation", m.Annotation)
	unless(bootFirmware, "firmware", m.Firmware)
	if t.carries&system == 0 || m.OS != "" && !strings.Contains(strings.ToLower(m.OS), "linux") {
		r.lose("operating system", m.OS)
	}
	r.lose("machine type", m.System)
	// A package is written with models that fit its kind of importer.
	for _, c := range m.Controllers {
		r.lose("controller", c)
	}
}

// loseAsked notes what the new format does not tell people, nor asks them.
func (r *Result) loseAsked(m ovf.Machine) {
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
