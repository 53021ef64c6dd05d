package xva

import (
	"errors"
	"fmt"
	"sort"
	"strconv"

	container "github.com/imgbuild/imgbuild/disk/xva"
	"github.com/imgbuild/imgbuild/output/ovf"
)

// objects are the records of an export: by class, in their order.
type objects map[string][]object

// object is one record.
type object struct {
	id string
	fields
}

// read reads ova.xml.
func read(text []byte) (objects, error) {
	v, err := decode(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", container.DescriptionName, err)
	}
	root, _ := v.(map[string]any)
	all, ok := root["objects"].([]any)
	if !ok {
		return nil, fmt.Errorf("reading %s: it has no objects", container.DescriptionName)
	}
	found := objects{}
	for _, item := range all {
		m, ok := item.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("reading %s: an object is no record", container.DescriptionName)
		}
		f := fields(m)
		class := f.text("class")
		found[class] = append(found[class], object{f.text("id"), f.within("snapshot")})
	}
	if len(found["VM"]) == 0 {
		return nil, errors.New("it describes no machine")
	}
	return found, nil
}

// find returns an object of a class; nil when there is none.
func (o objects) find(class, id string) fields {
	for _, x := range o[class] {
		if x.id == id {
			return x.fields
		}
	}
	return nil
}

// describe tells what an export holds. sizes are those of its disks by their
// references, which are the IDs of disks and files.
func (o objects) describe(a *container.Archive) (ovf.Description, map[string]int64, error) {
	d := ovf.Description{Files: []ovf.File{}, Disks: []ovf.Disk{}, Networks: []string{}}
	sizes := map[string]int64{}
	for _, v := range o["VDI"] {
		size, err := strconv.ParseInt(v.text("virtual_size"), 10, 64)
		if err != nil || size < 0 {
			return d, nil, fmt.Errorf("reading %s: disk %.40q has a size of %.40q", container.DescriptionName, v.id, v.text("virtual_size"))
		}
		k := ovf.Disk{ID: v.id, Capacity: size}
		if _, ok := a.Find(v.id); ok {
			k.File, sizes[v.id] = v.id, size
			d.Files = append(d.Files, ovf.File{ID: v.id, Name: v.id})
		}
		d.Disks = append(d.Disks, k)
	}
	for _, k := range a.Disks {
		if _, ok := sizes[k.Name]; !ok {
			d.Notes = append(d.Notes, fmt.Sprintf("the disk %s is not described", k.Name))
		}
	}
	for _, n := range o["network"] {
		d.Networks = append(d.Networks, n.text("name_label"))
	}
	for _, m := range o["VM"] {
		d.Machines = append(d.Machines, o.machine(m))
	}
	return d, sizes, nil
}

// machine describes a machine, or a snapshot of one.
func (o objects) machine(m object) ovf.Machine {
	boot := m.within("HVM_boot_params")
	d := ovf.Machine{
		ID: m.id, Name: m.text("name_label"), Annotation: m.text("name_description"),
		CPUs: int(number(m.text("VCPUs_max"))), Memory: number(m.text("memory_static_max")), Firmware: boot.text("firmware"), System: "HVM",
	}
	if m.text("HVM_boot_policy") == "" {
		d.System, d.Firmware = "PV", ""
	}
	for _, b := range o.attached("VBD", m.id) {
		if b.text("type") != "CD" && o.find("VDI", b.text("VDI")) != nil {
			d.Disks = append(d.Disks, b.text("VDI"))
		}
	}
	for _, v := range o.attached("VIF", m.id) {
		d.Adapters = append(d.Adapters, ovf.Adapter{Network: o.find("network", v.text("network")).text("name_label")})
	}
	return d
}

// attached are the devices of a machine, in the order of their slots.
func (o objects) attached(class, vm string) []object {
	var found []object
	for _, x := range o[class] {
		if x.text("VM") == vm {
			found = append(found, x)
		}
	}
	slot := map[string]string{"VBD": "userdevice", "VIF": "device"}[class]
	sort.SliceStable(found, func(i, k int) bool { return number(found[i].text(slot)) < number(found[k].text(slot)) })
	return found
}

// number reads a number that is not negative; 0 stands for anything else.
func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return max(n, 0)
}
