package xva

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/imgbuild/imgbuild/disk/part"
	"github.com/imgbuild/imgbuild/output"
)

// References of the objects in an export. That of a disk is the folder of its
// chunks, too.
const (
	vmRef      = "Ref:0"
	srRef      = "Ref:1"
	networkRef = "Ref:2"
	vdiRef     = "Ref:3" // further disks have two digits more
	vbdRef     = "Ref:4" // the same
	vifRef     = "Ref:5"
	noRef      = "OpaqueRef:NULL"
)

// maxDisks is how many names from xvda to xvdz there are.
const maxDisks = 26

// nth is the reference of the disk i, or of its device: as text they ascend, in
// which order an importer reads the chunks of the disks.
func nth(ref string, i int) string {
	if i == 0 {
		return ref
	}
	return fmt.Sprintf("%s%02d", ref, i)
}

// The network that setup makes of the first card of a host, by its name and its
// bridge; an importer looks for either.
const (
	defaultNetwork = "Pool-wide network associated with eth0"
	defaultBridge  = "xenbr0"
)

// describe returns ova.xml: the version of the exporter, and the records of the
// machine and of what it refers to (ocaml/xapi/export.ml of xen-api). The
// records have the fields that a host of version 7 exports: an import fails when
// one is missing that the data model has no default for, and passes over those
// that it does not know.
func describe(a output.Appliance, network string, size int64) []byte {
	g := guest{a, network, []int64{size}}
	for _, d := range a.Disks {
		g.sizes = append(g.sizes, d.Size())
	}
	objects := list{entry("VM", vmRef, g.vm()), entry("SR", srRef, g.sr()), entry("network", networkRef, g.net())}
	for i := range g.sizes {
		objects = append(objects, entry("VDI", nth(vdiRef, i), g.vdi(i)), entry("VBD", nth(vbdRef, i), g.vbd(i)))
	}
	var b bytes.Buffer
	encode(&b, record{
		{"version", record{
			{"hostname", "localhost"}, {"date", a.Created.UTC().Format(time.DateOnly)},
			{"product_version", "7.0.0"}, {"product_brand", "XenServer"}, {"build_number", "0x"},
			{"xapi_major", 1}, {"xapi_minor", 9}, {"export_vsn", 2}, // checksums stand beside their chunks
		}},
		{"objects", append(objects, entry("VIF", vifRef, g.vif()))},
	})
	return append(b.Bytes(), '\n')
}

func entry(class, ref string, snapshot record) record {
	return record{{"class", class}, {"id", ref}, {"snapshot", snapshot}}
}

// guest is what the records tell.
type guest struct {
	output.Appliance
	network string
	sizes   []int64 // of the disks, in bytes
}

// refs are the references of all disks, or of their devices.
func (g guest) refs(ref string) list {
	var all list
	for i := range g.sizes {
		all = append(all, nth(ref, i))
	}
	return all
}

// name is that of the disk i.
func (g guest) name(i int) string {
	if i == 0 {
		return g.Name
	}
	return fmt.Sprintf("%s disk %d", g.Name, i+1)
}

func (g guest) uuid(label string) string {
	return part.GUIDFrom([]byte(g.Digest+"/"+g.Name), "xva "+label).String()
}

// common are fields that most classes have, for an object that nobody uses
// just now.
func common() record {
	return record{{"allowed_operations", list{}}, {"current_operations", record{}}, {"other_config", record{}}}
}

func (g guest) sr() record {
	var sum int64
	for _, size := range g.sizes {
		sum += size
	}
	return common().with(
		field{"uuid", g.uuid("SR")}, field{"name_label", "Storage of the exporter"}, field{"name_description", ""},
		field{"VDIs", g.refs(vdiRef)}, field{"PBDs", list{}},
		field{"virtual_allocation", sum}, field{"physical_utilisation", sum}, field{"physical_size", sum},
		field{"type", "ext"}, field{"content_type", "user"}, field{"shared", false}, field{"tags", list{}},
		field{"sm_config", record{}}, field{"blobs", record{}},
	)
}

func (g guest) net() record {
	bridge := ""
	if g.network == defaultNetwork {
		bridge = defaultBridge
	}
	return common().with(
		field{"uuid", g.uuid("network")}, field{"name_label", g.network}, field{"name_description", ""},
		field{"VIFs", list{vifRef}}, field{"PIFs", list{}}, field{"MTU", 1500}, field{"bridge", bridge},
		field{"blobs", record{}}, field{"tags", list{}}, field{"default_locking_mode", "unlocked"},
	)
}

func (g guest) vdi(i int) record {
	return common().with(
		field{"uuid", g.uuid(nth("VDI", i))}, field{"name_label", g.name(i)}, field{"name_description", ""},
		field{"SR", srRef}, field{"VBDs", list{nth(vbdRef, i)}}, field{"crash_dumps", list{}},
		field{"virtual_size", g.sizes[i]}, field{"physical_utilisation", g.sizes[i]}, field{"type", "user"},
		field{"sharable", false}, field{"read_only", false}, field{"storage_lock", false}, field{"location", g.uuid(nth("VDI", i))},
		field{"managed", true}, field{"missing", false}, field{"parent", noRef}, field{"xenstore_data", record{}},
		field{"sm_config", record{}}, field{"is_a_snapshot", false}, field{"snapshot_of", noRef}, field{"snapshots", list{}},
		field{"snapshot_time", epoch()}, field{"tags", list{}}, field{"allow_caching", false}, field{"on_boot", "persist"},
	)
}

func (g guest) vbd(i int) record {
	return common().with(attached(nth("VBD", i), g)...).with(
		field{"VDI", nth(vdiRef, i)}, field{"device", "xvd" + string(rune('a'+i))}, field{"userdevice", strconv.Itoa(i)}, field{"bootable", i == 0},
		field{"mode", "RW"}, field{"type", "Disk"}, field{"unpluggable", false}, field{"storage_lock", false}, field{"empty", false},
	)
}

// vif has no address of its own: an importer gives it one.
func (g guest) vif() record {
	return common().with(attached("VIF", g)...).with(
		field{"device", "0"}, field{"network", networkRef}, field{"MAC", ""}, field{"MTU", 1500}, field{"MAC_autogenerated", true},
		field{"locking_mode", "network_default"}, field{"ipv4_allowed", list{}}, field{"ipv6_allowed", list{}},
	)
}

// attached are the fields of what is plugged into a machine.
func attached(class string, g guest) []field {
	return []field{
		{"uuid", g.uuid(class)}, {"VM", vmRef}, {"currently_attached", false}, {"reserved", false},
		{"status_code", 0}, {"status_detail", ""}, {"runtime_properties", record{}},
		{"qos_algorithm_type", ""}, {"qos_algorithm_params", record{}}, {"qos_supported_algorithms", list{}}, {"metrics", noRef},
	}
}

// epoch stands for no time.
func epoch() time.Time { return time.Unix(0, 0) }
