package ovm

import (
	"fmt"
	"path"
	"strings"

	"github.com/imgbuild/imgbuild/output/ovf"
	"github.com/imgbuild/imgbuild/output/xen/xlcfg"
)

// MaxConfig is the largest vm.cfg that is read, in bytes.
const MaxConfig = xlcfg.MaxSize

// Describe tells what the vm.cfg of a template says. images are the disks that
// lie beside it, which become the files of the description, with the name as
// their ID.
func Describe(config []byte, images []ovf.File) (ovf.Description, error) {
	d := ovf.Description{Files: images, Disks: []ovf.Disk{}, Networks: []string{}}
	c, err := xlcfg.Parse(config)
	if err != nil {
		return d, fmt.Errorf("reading %s: %w", ConfigName, err)
	}
	const mostMiB = 1 << 30
	m := ovf.Machine{
		ID: c.Text("name"), Name: c.Text("OVM_simple_name"), Annotation: c.Text("OVM_description"), OS: c.Text("OVM_os_type"),
		System: c.Text("OVM_domain_type"), CPUs: int(max(c.Int("vcpus"), 0)), Memory: min(max(c.Int("memory"), 0), mostMiB) << 20,
	}
	if m.Name == "" {
		m.Name = m.ID
	}
	for _, entry := range c.List("disk") {
		addDisk(&d, &m, entry)
	}
	for _, entry := range c.List("vif") {
		m.Adapters = append(m.Adapters, adapter(entry))
	}
	d.Machines = []ovf.Machine{m}
	return d, nil
}

// addDisk adds a disk of the form KIND:PATH,DEVICE,MODE, and finds its file by
// the last element of the path: the rest is of a host that it once was on.
func addDisk(d *ovf.Description, m *ovf.Machine, entry string) {
	file, rest, _ := strings.Cut(entry, ",")
	device, _, _ := strings.Cut(rest, ",")
	if strings.HasSuffix(device, ":cdrom") {
		return
	}
	k := ovf.Disk{ID: device}
	name := path.Base(file[strings.LastIndexByte(file, ':')+1:])
	for _, f := range d.Files {
		if path.Base(f.Name) == name {
			k.File, k.Capacity = f.ID, f.Size
		}
	}
	if k.File == "" {
		d.Notes = append(d.Notes, fmt.Sprintf("the disk %s is not in the archive", name))
	}
	d.Disks = append(d.Disks, k)
	m.Disks = append(m.Disks, k.ID)
}

// adapter reads a network card: KEY=VALUE, divided by commas.
func adapter(entry string) ovf.Adapter {
	var a ovf.Adapter
	for part := range strings.SplitSeq(entry, ",") {
		switch key, value, _ := strings.Cut(strings.TrimSpace(part), "="); key {
		case "bridge":
			a.Network = value
		case "model":
			a.Model = value
		case "type":
			if a.Model == "" {
				a.Model = value
			}
		}
	}
	return a
}
