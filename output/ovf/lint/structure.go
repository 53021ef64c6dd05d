package lint

import "strings"

const (
	nsOVF  = "http://schemas.dmtf.org/ovf/envelope/1"
	nsRASD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
)

// structure examines the shape of the descriptor: its version, namespaces and
// the order of its sections.
func (l *linter) structure() {
	if l.root.space != nsOVF {
		l.add("ovf-version", l.root, "the namespace of the envelope is %q", l.root.space)
	}
	if l.root.prefix != "" {
		l.add("prefixed-element", l.root, "OVF's elements are written %s:%s", l.root.prefix, l.root.name)
	}
	if l.root.child("References") == nil {
		l.add("references-missing", l.root, "the envelope has no References")
	}
	l.ranks(l.root, envelopeRank)
	for _, e := range []string{"VirtualSystem", "VirtualSystemCollection"} {
		for _, s := range l.root.below(e) {
			l.info(s)
			l.ranks(s, systemRank)
		}
	}
	l.sections(l.root)
}

// sections examines every section for its Info, and OVF's elements for
// attributes without a prefix.
func (l *linter) sections(e *element) {
	for _, c := range e.children {
		if c.space == nsOVF && strings.HasSuffix(c.name, "Section") {
			l.info(c)
		}
		for _, a := range c.attrs {
			if c.space == nsOVF && a.prefix == "" {
				l.add("bare-attribute", c, "the attribute %s of %s has no prefix", a.name, c.name)
			}
		}
		l.sections(c)
	}
}

func (l *linter) info(e *element) {
	if len(e.children) == 0 || e.children[0].name != "Info" {
		l.add("info-missing", e, "%s does not begin with Info", e.name)
	}
}

// ranks examines whether the children of e come in the order of their ranks.
func (l *linter) ranks(e *element, rank func(name string) int) {
	highest, last := 0, ""
	for _, c := range e.children {
		r := rank(c.name)
		if c.space != nsOVF || r == 0 {
			continue
		}
		if r < highest {
			l.add("section-order", c, "%s comes after %s", c.name, last)
			return
		}
		highest, last = r, c.name
	}
}

func envelopeRank(name string) int {
	switch {
	case name == "References":
		return 1
	case strings.HasSuffix(name, "Section"):
		return 2
	case strings.HasPrefix(name, "VirtualSystem"):
		return 3
	case name == "Strings":
		return 4
	}
	return 0
}

func systemRank(name string) int {
	switch {
	case name == "Info":
		return 1
	case name == "Name":
		return 2
	case strings.HasSuffix(name, "Section"):
		return 3
	case strings.HasPrefix(name, "VirtualSystem"):
		return 4
	}
	return 0
}

// references examines files and disks: whether they are there, and what is
// said of them.
func (l *linter) references() {
	files := l.root.child("References").all("File")
	ids := map[string]bool{}
	bundles := map[string]bool{}
	for _, s := range l.root.all("Strings") {
		bundles[s.attr("fileRef")] = true
	}
	other := false
	for _, f := range files {
		id := f.attr("id")
		if ids[id] {
			l.add("id-twice", f, "there are two files with the ID %q", id)
		}
		ids[id] = true
		l.file(f)
		if bundles[id] && other {
			l.add("strings-order", f, "the text bundle %s comes behind other files", f.attr("href"))
		}
		other = other || !bundles[id]
	}
	used := l.hostResources(ids)
	seen := map[string]bool{}
	for _, d := range l.root.child("DiskSection").all("Disk") {
		if seen[d.attr("diskId")] {
			l.add("id-twice", d, "there are two disks with the ID %q", d.attr("diskId"))
		}
		seen[d.attr("diskId")] = true
		if parent := d.attr("parentRef"); parent != "" {
			l.add("disk-parent", d, "disk %s builds on disk %s", d.attr("diskId"), parent)
			used[parent] = true
		}
		if ref := d.attr("fileRef"); ref != "" && !ids[ref] {
			l.add("dangling-file", d, "disk %s lies in file %q", d.attr("diskId"), ref)
		}
		switch unit := d.attr("capacityAllocationUnits"); {
		case unit == "":
			l.add("capacity-unit", d, "disk %s tells no unit of its capacity", d.attr("diskId"))
		case !isUnit(unit):
			l.add("unit-old", d, "the capacity of disk %s is told in %s", d.attr("diskId"), unit)
		}
		if !used[d.attr("diskId")] {
			l.add("unused-disk", d, "no machine has disk %s", d.attr("diskId"))
		}
	}
}

// isUnit reports whether a unit of bytes is written as DSP0004 has it.
func isUnit(text string) bool { return strings.HasPrefix(strings.TrimSpace(text), "byte") }

func (l *linter) file(f *element) {
	name := f.attr("href")
	if strings.Contains(name, "://") {
		return // it is fetched from elsewhere
	}
	_, n, err := l.pkg.OpenFile(name)
	switch size := strings.TrimSpace(f.attr("size")); {
	case err != nil:
		l.add("file-missing", f, "%v", err)
	case size == "":
		l.add("file-size", f, "the size of %s is not told", name)
	case size != itoa(n):
		l.add("file-size", f, "%s has %d bytes, and ovf:size says %s", name, n, size)
	}
	if c := f.attr("compression"); c != "" && c != "identity" {
		l.add("file-compressed", f, "%s is compressed by %s", name, c)
	}
	if f.attr("chunkSize") != "" {
		l.add("file-chunked", f, "%s is split into chunks", name)
	}
}

// hostResources are the disks that machines have, by their IDs. Disks that are
// not described are findings, and so are files that are not among the files.
func (l *linter) hostResources(files map[string]bool) map[string]bool {
	known := map[string]bool{}
	for _, d := range l.root.child("DiskSection").all("Disk") {
		known[d.attr("diskId")] = true
	}
	used := map[string]bool{}
	for _, it := range l.items() {
		for _, r := range it.all("HostResource") {
			address := r.trimmed()
			id := address[strings.LastIndex(address, "/")+1:]
			isDisk := strings.Contains(address, "/disk/")
			switch {
			case strings.HasPrefix(address, "ovf:/file/"):
				if !files[id] {
					l.add("dangling-file", r, "a drive holds file %q", id)
				}
			case !isDisk && it.value("ResourceType") != "17":
			case !known[id]:
				l.add("dangling-disk", r, "the disk %q is not described", address)
			case !strings.HasPrefix(address, "ovf:/disk/"):
				l.add("host-resource", r, "the disk is called %q", address)
			}
			used[id] = true
		}
	}
	return used
}

// items are all pieces of hardware.
func (l *linter) items() []*element {
	var list []*element
	for _, h := range l.root.below("VirtualHardwareSection") {
		for _, name := range []string{"Item", "StorageItem", "EthernetPortItem"} {
			list = append(list, h.all(name)...)
		}
	}
	return list
}
