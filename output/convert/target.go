package convert

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/disk/packed"
	"github.com/imgbuild/imgbuild/fault"
)

// kind is a format that holds a disk.
type kind struct {
	format string
	// suffixes are those of its main file. A format is told by them, unless
	// another that comes before has the same.
	suffixes []string
	// own is what the format's own writer puts behind the name of the appliance,
	// of its main file; empty where no file is the main one.
	own string
	// carries is what the format says of a machine beside its disk.
	carries facts
	// several tells a format that keeps all disks of a machine.
	several bool
}

func kinds() []kind {
	const (
		machine = named | processors | memory
		pack    = machine | described | vendor | version | bootFirmware | system | asked
	)
	return []kind{
		{"raw", []string{".raw", ".img"}, ".raw", 0, false},
		{"qcow2", []string{".qcow2"}, ".qcow2", 0, false},
		{"vmdk", []string{".vmdk"}, ".vmdk", 0, false},
		{"vhd", []string{".vhd", ".vpc"}, ".vhd", 0, false},
		{"vhdx", []string{".vhdx"}, ".vhdx", 0, false},
		{"ova", []string{".ova"}, ".ova", pack, true},
		{"ovf", []string{".ovf"}, ".ovf", pack, true},
		{"ovm", []string{".tgz"}, ".tgz", machine | described | system, true},
		{"xva", []string{".xva"}, ".xva", machine | described | bootFirmware, true},
		{"azure", []string{".vhd"}, "-azure.vhd", 0, false},
		{"gcp", []string{".tar.gz"}, "-gcp.tar.gz", 0, false},
		{"kubevirt", []string{".oci.tar"}, "-kubevirt.oci.tar", version, false},
		{"libvirt", []string{".xml"}, "-libvirt.xml", machine | described | bootFirmware, true},
		{"openstack", []string{".qcow2"}, "-openstack.qcow2", named | described | version | memory | bootFirmware | system, false},
		{"proxmox", []string{".sh"}, "-proxmox.sh", machine | described | bootFirmware | system, true},
		{"vagrant", []string{".box"}, ".box", processors | memory, false},
		{"xen", []string{".cfg"}, "", machine | bootFirmware, true},
	}
}

// ending is the suffix of a name that the kind has; empty when it has none.
func (k kind) ending(name string) string {
	for _, suffix := range k.suffixes {
		if strings.HasSuffix(strings.ToLower(name), suffix) {
			return suffix
		}
	}
	return ""
}

// Formats returns the names of the formats that Run converts into.
func Formats() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.format)
	}
	return names
}

// target is where the new files go.
type target struct {
	kind
	dir  string
	name string // of the main file
	stem string // what all names begin with
	// compress is how the file is compressed; empty for not at all.
	compress packed.Kind
}

// options adds to the options of the format what the name tells.
func (t target) options(given map[string]any) map[string]any {
	options := maps.Clone(given)
	if t.compress != "" {
		if options == nil {
			options = map[string]any{}
		}
		options["compress"] = t.compress
	}
	return options
}

// cutCompression takes the suffix of a compression off the name, and returns
// what is left.
func (t *target) cutCompression() string {
	ext := filepath.Ext(t.name)
	kind := packed.Kind(strings.TrimPrefix(strings.ToLower(ext), "."))
	if !slices.Contains(packed.Kinds(), kind) {
		return t.name
	}
	t.compress = kind
	return strings.TrimSuffix(t.name, ext)
}

// chooseTarget finds the format by its name, or by the suffix of the path: the
// whole of it, or what is left without that of a compression.
func chooseTarget(out, format string) (target, error) {
	t := target{dir: filepath.Dir(out), name: filepath.Base(out)}
	plain := t.name
	find := func() int {
		return slices.IndexFunc(kinds(), func(k kind) bool {
			return (k.format == format || format == "") && k.ending(plain) != ""
		})
	}
	i := find()
	if i < 0 {
		plain = t.cutCompression()
		i = find()
	}
	if i < 0 && format != "" {
		i = slices.IndexFunc(kinds(), func(k kind) bool { return k.format == format })
	}
	if i < 0 {
		err := fmt.Errorf("there is no format %q to convert into", format)
		if format == "" {
			err = fmt.Errorf("the name %s does not tell a format", t.name)
		}
		return t, fault.New(fault.Usage, err, "name one with --format: "+strings.Join(Formats(), ", "))
	}
	t.kind = kinds()[i]
	t.stem = plain[:len(plain)-len(t.ending(plain))]
	if t.compress != "" {
		if t.format != "raw" {
			return t, fault.New(fault.Usage, fmt.Errorf("%s cannot be compressed once more", t.format), "leave ."+string(t.compress)+" out of the name")
		}
		t.own += "." + string(t.compress)
	}
	if t.stem == "" || strings.HasPrefix(t.name, ".imgbuild-") {
		return t, fault.New(fault.Usage, fmt.Errorf("%q is no name for an output file", t.name), "name another file")
	}
	return t, nil
}
