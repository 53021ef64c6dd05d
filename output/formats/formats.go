// Package formats is the registry of appliance formats: one line for each.
package formats

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/azure"
	"github.com/imgbuild/imgbuild/output/gcp"
	"github.com/imgbuild/imgbuild/output/iso"
	"github.com/imgbuild/imgbuild/output/kernel"
	"github.com/imgbuild/imgbuild/output/kubevirt"
	"github.com/imgbuild/imgbuild/output/libvirt"
	"github.com/imgbuild/imgbuild/output/netboot"
	"github.com/imgbuild/imgbuild/output/oci"
	"github.com/imgbuild/imgbuild/output/openstack"
	"github.com/imgbuild/imgbuild/output/ovf"
	"github.com/imgbuild/imgbuild/output/ovm"
	"github.com/imgbuild/imgbuild/output/proxmox"
	"github.com/imgbuild/imgbuild/output/qcow2"
	"github.com/imgbuild/imgbuild/output/raw"
	"github.com/imgbuild/imgbuild/output/uki"
	"github.com/imgbuild/imgbuild/output/vagrant"
	"github.com/imgbuild/imgbuild/output/vhd"
	"github.com/imgbuild/imgbuild/output/vhdx"
	"github.com/imgbuild/imgbuild/output/vmdk"
	"github.com/imgbuild/imgbuild/output/xen"
	"github.com/imgbuild/imgbuild/output/xva"
)

// All returns every format, sorted by name.
func All() []output.Format {
	list := []output.Format{
		azure.Format{},
		gcp.Format{},
		iso.Format{},
		kernel.Format{},
		kubevirt.Format{},
		libvirt.Format{},
		oci.Format{},
		netboot.Format{},
		openstack.Format{},
		ovf.OVA{},
		ovf.OVF{},
		ovm.Format{},
		proxmox.Format{},
		qcow2.Format{},
		raw.Format{},
		uki.Format{},
		vagrant.Format{},
		vhd.Format{},
		vhdx.Format{},
		vmdk.Format{},
		xen.Format{},
		xva.Format{},
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name() < list[j].Name() })
	return list
}

// FileOptions returns the options of a format that are paths on this machine.
func FileOptions(name string) []string {
	for _, f := range All() {
		if with, ok := f.(output.FileOptions); ok && f.Name() == name {
			return with.FileOptions()
		}
	}
	return nil
}

// Parts returns the parts of an appliance that a format asks for.
func Parts(name string) []output.Part {
	for _, f := range All() {
		if asks, ok := f.(output.Asks); ok && f.Name() == name {
			return asks.Parts()
		}
	}
	return nil
}

// Select returns the writer of a format with the options of a recipe.
func Select(name string, options map[string]any) (output.Selected, error) {
	var names []string
	for _, f := range All() {
		if f.Name() != name {
			names = append(names, f.Name())
			continue
		}
		var raw json.RawMessage
		if len(options) > 0 {
			var err error
			if raw, err = json.Marshal(options); err != nil {
				return output.Selected{}, fmt.Errorf("options of output %s: %w", name, err)
			}
		}
		w, err := f.New(raw)
		return output.Selected{Format: f, Writer: w}, err
	}
	return output.Selected{}, fault.New(fault.Recipe, fmt.Errorf("there is no output format %q", name),
		"the formats are "+strings.Join(names, ", "))
}
