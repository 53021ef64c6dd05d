package lint

import (
	"slices"
	"strconv"
	"strings"

	"github.com/imgbuild/imgbuild/output/ovf"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// hardware examines the machines.
func (l *linter) hardware() {
	systems := l.root.below("VirtualSystem")
	for _, s := range systems {
		sections := s.all("VirtualHardwareSection")
		if len(sections) == 0 {
			l.add("hardware-missing", s, "machine %s has no virtual hardware", s.attr("id"))
		}
		if len(sections) > 1 && l.meant(VMware) {
			l.add("hardware-families", s, "machine %s comes with %d sets of virtual hardware", s.attr("id"), len(sections))
		}
		l.systemTypes(s, sections)
		for _, h := range sections {
			importers := l.report.For
			if own := families(h.child("System").valueOrNone("VirtualSystemType")); len(sections) > 1 && len(own) > 0 {
				importers = own // the others take another set
			}
			l.itemsOf(h, importers)
			l.configs(h)
		}
		if l.meant(VMware) {
			l.foreignSections(s)
		}
	}
	for _, v := range l.root.below("ExtraConfig") {
		l.required(v)
	}
}

// systemTypes examines whether an importer finds a type that it knows.
func (l *linter) systemTypes(s *element, sections []*element) {
	var types []string
	for _, h := range sections {
		text := h.child("System").valueOrNone("VirtualSystemType")
		if text == "" {
			return // the importer takes the newest it knows
		}
		types = append(types, strings.Fields(text)...)
	}
	if len(types) == 0 {
		return
	}
	known := map[string][]string{VMware: {"vmx-"}, VirtualBox: {"virtualbox-", "vmx-"}, Xen: {"xen", "hvm", "301"}, Generic: {""}}
	for _, importer := range l.report.For {
		prefixes := known[importer]
		if !slices.ContainsFunc(types, func(t string) bool {
			return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(t, p) })
		}) {
			l.add("system-type", s, "%s knows none of the machine types %s", importer, strings.Join(types, ", "))
		}
	}
	if !l.meant(VMware) {
		return
	}
	const oldest, newest = 11, 14
	var versions []int
	for _, t := range types {
		if n, err := strconv.Atoi(strings.TrimPrefix(t, "vmx-")); err == nil {
			versions = append(versions, n)
		}
	}
	switch {
	case len(versions) == 0:
	case slices.Min(versions) > newest:
		l.add("system-new", s, "the oldest machine type is vmx-%d, and ESXi 6.7 knows vmx-%d", slices.Min(versions), newest)
	case slices.Max(versions) < oldest:
		l.add("system-old", s, "the newest machine type is vmx-%02d", slices.Max(versions))
	}
}

// valueOrNone is value for an element that may be nil.
func (e *element) valueOrNone(name string) string {
	if e == nil {
		return ""
	}
	return e.value(name)
}

// itemsOf examines the items of one set of hardware, which the importers take.
func (l *linter) itemsOf(h *element, importers []string) {
	options := map[string]bool{}
	for _, c := range l.root.child("DeploymentOptionSection").all("Configuration") {
		options[c.attr("id")] = true
	}
	networks := map[string]bool{}
	for _, n := range l.root.child("NetworkSection").all("Network") {
		networks[n.attr("name")] = true
	}
	ids := map[string]*element{}
	for _, it := range h.all("Item") {
		l.item(it, ids, options)
		for _, c := range it.all("Connection") {
			if name := c.trimmed(); it.value("ResourceType") == "10" && !networks[name] {
				l.add("network-missing", c, "the network %q is not described", name)
			}
		}
		l.devices(it, importers)
	}
	for _, it := range h.all("Item") {
		if parent := it.value("Parent"); parent != "" && ids[parent] == nil {
			l.add("item-parent", it, "item %s lies on item %s", it.value("InstanceID"), parent)
		}
	}
}

// item examines an item by itself, and its place among those before it.
func (l *linter) item(it *element, before map[string]*element, options map[string]bool) {
	id := it.value("InstanceID")
	configuration := strings.Fields(it.attr("configuration"))
	for _, name := range configuration {
		if !options[name] {
			l.add("unknown-option", it, "item %s belongs to the option %q", id, name)
		}
	}
	switch earlier := before[id]; {
	case id == "" && it.child("InstanceId") != nil:
		l.add("instance-id", it, "an item has an InstanceId, as in OVF 0.9")
	case id == "":
		l.add("instance-id", it, "an item has no InstanceID")
	case earlier != nil && len(configuration) == 0 && earlier.attr("configuration") != "":
		l.add("option-order", it, "item %s comes behind one that replaces it", id)
	case earlier != nil && len(configuration) == 0:
		l.add("instance-id", it, "two items have the InstanceID %s", id)
	}
	if before[id] == nil {
		before[id] = it
	}
	last := ""
	for _, c := range it.children {
		if c.space != nsRASD {
			continue
		}
		if c.name < last {
			l.add("item-order", c, "%s comes after %s", c.name, last)
			break
		}
		last = c.name
	}
}

// devices examines what single importers say of models.
func (l *linter) devices(it *element, importers []string) {
	meant := func(name string) bool { return slices.Contains(importers, name) }
	model := strings.ToLower(it.value("ResourceSubType"))
	kind := it.value("ResourceType")
	if unit := it.value("AllocationUnits"); kind == "4" && unit != "" && !isUnit(unit) {
		l.add("unit-old", it, "memory is told in %s", unit)
	}
	const memoryStep = 4 << 20
	if n, err := ovf.Bytes(it.value("VirtualQuantity"), it.value("AllocationUnits")); meant(VMware) && kind == "4" && err == nil && n%memoryStep != 0 {
		l.add("memory-step", it, "the machine has %d bytes of memory", n)
	}
	if meant(VMware) && kind == "5" && model == "piix4" {
		l.add("piix4", it, "the IDE controller is called PIIX4")
	}
	if meant(VirtualBox) && (model == "virtualscsi" || model == "vmxnet3") {
		l.add("virtualbox-devices", it, "there is a %s", it.value("ResourceSubType"))
	}
	if meant(Xen) && kind == "3" && (it.value("Limit") == "" || it.value("Reservation") == "") {
		l.add("xen-limits", it, "the processors have no limit or no reservation")
	}
}

// configs examines VMware's own settings.
func (l *linter) configs(h *element) {
	for _, c := range h.all("Config") {
		l.required(c)
	}
}

func (l *linter) required(c *element) {
	if strings.Contains(c.space, "vmware") && c.attr("required") != "false" {
		l.add("required-config", c, "the setting %s must be understood", c.attr("key"))
	}
}

// foreignSections examines what VMware refuses in a single machine.
func (l *linter) foreignSections(s *element) {
	for _, c := range s.children {
		if c.name == "StartupSection" || c.name == "VirtualSystemOtherConfigurationData" || c.name == "VirtualSystemOtherConfigurationDataSection" {
			l.add("startup-section", c, "the machine has a %s", c.name)
		}
	}
}
