package ovf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Description is what a descriptor says.
type Description struct {
	// Version is that of OVF: "0.9", "1" or "2".
	Version  string    `json:"version"`
	Files    []File    `json:"files"`
	Disks    []Disk    `json:"disks"`
	Networks []string  `json:"networks"`
	Machines []Machine `json:"machines"`
	// Options are the deployment options to choose from; what Machines have
	// is by the default one.
	Options []Option `json:"options,omitempty"`
	// Languages are those that texts are translated into.
	Languages []string `json:"languages,omitempty"`
	// Notes tell what is odd about the package.
	Notes []string `json:"notes,omitempty"`
}

// File is a file that a descriptor refers to.
type File struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Size is what the descriptor says, in bytes; 0 when it does not.
	Size        int64  `json:"size"`
	compression string // "" is none
	chunked     bool
}

// Disk is a virtual disk.
type Disk struct {
	ID string `json:"id"`
	// File is the ID of the file that holds it; empty for a blank disk.
	File string `json:"file,omitempty"`
	// Format is the address that stands for the format of the file.
	Format string `json:"format,omitempty"`
	// Capacity is the virtual size, in bytes; 0 when it is not a plain number.
	Capacity int64 `json:"capacity"`
	// Parent is the disk on which this one builds: it holds only what differs.
	Parent string `json:"parent,omitempty"`
}

// Machine is a virtual machine. What a descriptor does not tell is empty.
type Machine struct {
	ID         string `json:"id"`
	Name       string `json:"name,omitempty"`
	Product    string `json:"product,omitempty"`
	Vendor     string `json:"vendor,omitempty"`
	Version    string `json:"version,omitempty"`
	Annotation string `json:"annotation,omitempty"`
	OS         string `json:"os,omitempty"`
	// System is the VirtualSystemType, the family of hardware: "vmx-14".
	System   string `json:"system,omitempty"`
	CPUs     int    `json:"cpus"`
	Memory   int64  `json:"memory"` // bytes
	Firmware string `json:"firmware,omitempty"`
	// Controllers are those of disks, by their models.
	Controllers []string  `json:"controllers,omitempty"`
	Adapters    []Adapter `json:"adapters,omitempty"`
	// Disks are the IDs of the disks it has.
	Disks []string `json:"disks,omitempty"`
	// Systems are the types of all sets of hardware, when there are several.
	Systems []string `json:"systems,omitempty"`
	// Transports are the ways in which properties reach the guest: "iso",
	// "com.vmware.guestInfo".
	Transports []string   `json:"transports,omitempty"`
	Properties []Property `json:"properties,omitempty"`
	// Licenses is how many texts have to be agreed to.
	Licenses int `json:"licenses,omitempty"`
	// Agreements are these texts, in the package's own language.
	Agreements []string `json:"-"`
}

// Option is a deployment option.
type Option struct {
	ID      string `json:"id"`
	Label   string `json:"label,omitempty"`
	Default bool   `json:"default,omitempty"`
}

// Property is a value that whoever installs the machine may give.
type Property struct {
	// Key is whole: with the class and the instance of its product.
	Key        string `json:"key"`
	Type       string `json:"type"`
	Qualifiers string `json:"qualifiers,omitempty"`
	Value      string `json:"value,omitempty"`
	Label      string `json:"label,omitempty"`
	// Description is a longer text.
	Description string `json:"description,omitempty"`
	Settable    bool   `json:"settable,omitempty"`
	Password    bool   `json:"password,omitempty"`
}

// Adapter is a network card.
type Adapter struct {
	Model   string `json:"model,omitempty"`
	Network string `json:"network,omitempty"`
}

// note adds to the notes.
func (d *Description) note(format string, args ...any) {
	const most = 100
	if len(d.Notes) < most {
		d.Notes = append(d.Notes, fmt.Sprintf(format, args...))
	}
}

// describe makes a description of a descriptor.
func describe(e *foreignEnvelope) Description {
	d := Description{Version: version(e.XMLName.Space), Files: []File{}, Disks: []Disk{}, Networks: []string{}}
	for _, f := range e.Files {
		d.Files = append(d.Files, d.file(f))
	}
	for _, f := range e.Disks {
		d.Disks = append(d.Disks, d.disk(f))
	}
	for _, n := range e.Networks {
		d.Networks = append(d.Networks, n.Name)
	}
	chosen := defaultOption(e.Options)
	for _, o := range e.Options {
		d.Options = append(d.Options, Option{ID: o.ID, Label: strings.TrimSpace(o.Label), Default: o.ID == chosen})
	}
	for _, b := range e.Strings {
		d.Languages = append(d.Languages, b.Lang)
	}
	d.addSystems(e.Systems, e.Collections, chosen)
	return d
}

// version tells the version by the namespace of the root element.
func version(space string) string {
	switch {
	case strings.HasSuffix(space, "/envelope/2"):
		return "2"
	case strings.HasSuffix(space, "/1/envelope"):
		return "0.9"
	}
	return "1"
}

func (d *Description) file(f foreignFile) File {
	file := File{ID: f.ID, Name: f.Href}
	if f.Size != "" {
		n, err := inBytes(f.Size, "")
		if err != nil {
			d.note("the size of file %s: %v", f.Href, err)
		}
		file.Size = n
	}
	if f.Compression != "identity" {
		file.compression = f.Compression
	}
	file.chunked = f.ChunkSize != "" && f.ChunkSize != "0"
	return file
}

func (d *Description) disk(f foreignDisk) Disk {
	k := Disk{ID: f.ID, File: f.File, Format: f.Format, Parent: f.Parent}
	var err error
	if k.Capacity, err = inBytes(f.Capacity, f.Units); err != nil {
		d.note("the capacity of disk %s: %v", f.ID, err)
	}
	if f.File != "" && !slices.ContainsFunc(d.Files, func(x File) bool { return x.ID == f.File }) {
		d.note("disk %s lies in file %q, which is not among the references", f.ID, f.File)
	}
	return k
}

// defaultOption returns the deployment option that an importer chooses when
// nobody does: the one marked as default, else the first (DSP0243 section
// 9.8).
func defaultOption(options []foreignOption) string {
	for _, o := range options {
		if isTrue(o.Default) {
			return o.ID
		}
	}
	if len(options) > 0 {
		return options[0].ID
	}
	return ""
}

// isTrue reads a boolean of XML Schema.
func isTrue(text string) bool { return text == "true" || text == "1" }

// addSystems adds the machines of a collection and of those in it. The XML
// reader has bounded how deep they nest.
func (d *Description) addSystems(systems, collections []foreignSystem, option string) {
	for _, s := range systems {
		d.Machines = append(d.Machines, d.machine(s, option))
	}
	for _, c := range collections {
		d.addSystems(c.Systems, c.Collections, option)
	}
}

func (d *Description) machine(s foreignSystem, option string) Machine {
	m := Machine{ID: s.ID, Name: strings.TrimSpace(s.Name), Annotation: strings.TrimSpace(s.Annotation)}
	if len(s.Products) > 0 {
		p := s.Products[0]
		m.Product, m.Vendor, m.Version = strings.TrimSpace(p.Product), strings.TrimSpace(p.Vendor), strings.TrimSpace(p.Version)
	}
	m.Licenses, m.Agreements = len(s.Licenses), s.Licenses
	for _, p := range s.Products {
		m.Properties = append(m.Properties, properties(p)...)
	}
	if len(s.OS) > 0 {
		m.OS = operatingSystem(s.OS[0])
	}
	for _, f := range s.VirtualBox {
		m.Firmware = strings.ToLower(f.Type)
	}
	if len(s.Hardware) == 0 {
		d.note("machine %s has no virtual hardware", s.ID)
		return m
	}
	if len(s.Hardware) > 1 {
		d.note("machine %s comes with %d sets of virtual hardware; this is the first", s.ID, len(s.Hardware))
		for _, h := range s.Hardware {
			m.Systems = append(m.Systems, strings.TrimSpace(h.System.Type))
		}
	}
	h := s.Hardware[0]
	m.System = strings.TrimSpace(h.System.Type)
	// Blanks divide them by the text of the specification, commas by that of
	// its schema.
	if list := strings.FieldsFunc(h.Transport, func(c rune) bool { return c == ' ' || c == ',' }); len(list) > 0 {
		m.Transports = list
	}
	for _, c := range h.Config {
		if c.Key == "firmware" {
			m.Firmware = c.Value
		}
	}
	for _, it := range effective(slices.Concat(h.Items, h.Storage, h.Ports), option) {
		d.addItem(&m, it)
	}
	return m
}

// properties are those of a product, by their whole keys (DSP0243 section
// 9.5.1).
func properties(p foreignProduct) []Property {
	var list []Property
	for _, f := range p.Properties {
		key := f.Key
		if p.Class != "" {
			key = p.Class + "." + key
		}
		if p.Instance != "" {
			key += "." + p.Instance
		}
		list = append(list, Property{
			Key: key, Type: f.Type, Qualifiers: f.Qualifiers, Value: f.Value, Label: strings.TrimSpace(f.Label),
			Description: strings.TrimSpace(f.Description), Settable: isTrue(f.Configurable), Password: isTrue(f.Password),
		})
	}
	return list
}

func operatingSystem(o foreignOS) string {
	for _, text := range []string{o.Description, o.VMware, o.ID} {
		if text = strings.TrimSpace(text); text != "" {
			return text
		}
	}
	return ""
}

// effective returns the items that count when an option is chosen: one with
// the same ID as an earlier one stands in for it (DSP0243 section 9.8).
func effective(items []foreignItem, option string) []foreignItem {
	var list []foreignItem
	place := map[string]int{}
	for _, it := range items {
		if it.Configuration != "" && !slices.Contains(strings.Fields(it.Configuration), option) {
			continue
		}
		id := it.ID + it.OldID
		if i, known := place[id]; known && id != "" {
			list[i] = it
			continue
		}
		place[id] = len(list)
		list = append(list, it)
	}
	return list
}

// addItem adds a piece of hardware to a machine.
func (d *Description) addItem(m *Machine, it foreignItem) {
	kind, _ := strconv.Atoi(strings.TrimSpace(it.Type))
	switch kind {
	case cimCPU:
		n, err := strconv.Atoi(strings.TrimSpace(it.Quantity))
		if err != nil || n < 0 {
			d.note("machine %s has %q processors", m.ID, it.Quantity)
			return
		}
		m.CPUs += n
	case cimMemory:
		n, err := inBytes(it.Quantity, it.Units)
		if err != nil {
			d.note("the memory of machine %s: %v", m.ID, err)
		}
		m.Memory = n
	case cimIDE, cimSCSI, cimOtherStorage:
		m.Controllers = append(m.Controllers, strings.TrimSpace(controllerName(kind)+" "+it.Subtype))
	case cimEthernet:
		m.Adapters = append(m.Adapters, Adapter{Model: strings.TrimSpace(it.Subtype), Network: strings.Join(it.Connection, ", ")})
	case cimDisk:
		d.addDisk(m, it)
	}
}

func controllerName(kind int) string {
	switch kind {
	case cimIDE:
		return "IDE"
	case cimSCSI:
		return "SCSI"
	}
	return "storage" // SATA or NVMe: the model tells
}

// addDisk resolves what a disk is made of: "ovf:/disk/ID", or with less before
// the ID when written by old or careless programs.
func (d *Description) addDisk(m *Machine, it foreignItem) {
	for _, resource := range it.HostResource {
		resource = strings.TrimSpace(resource)
		id := resource[strings.LastIndex(resource, "/")+1:]
		if !slices.ContainsFunc(d.Disks, func(k Disk) bool { return k.ID == id }) {
			d.note("machine %s has a disk %q that is not described", m.ID, resource)
			continue
		}
		m.Disks = append(m.Disks, id)
	}
}
