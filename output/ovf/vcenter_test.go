package ovf_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/ovf/importer"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/ovf"
)

// importPatience bounds an import: the simulator was seen to hang after an error.
const importPatience = time.Minute

// imported is a machine as a vCenter has it.
type imported struct {
	mo.VirtualMachine
	devices object.VirtualDeviceList
}

// vCenter imports an OVA as govc does: the simulator parses the descriptor and
// makes a machine of it, to which the disk is uploaded. Each import has a server
// of its own.
func vCenter(t *testing.T, path string, opts importer.Options) (m imported, err error) {
	t.Helper()
	model := simulator.VPX()
	defer model.Remove()
	ctx, cancel := context.WithTimeout(t.Context(), importPatience)
	defer cancel()
	err = model.Run(func(_ context.Context, c *vim25.Client) error {
		m, err = importOVA(ctx, c, path, opts)
		return err
	})
	return m, err
}

func importOVA(ctx context.Context, c *vim25.Client, path string, opts importer.Options) (m imported, err error) {
	var complaints []string
	imp := importer.Importer{
		Client: c, Finder: find.NewFinder(c),
		Archive: &importer.TapeArchive{Path: path},
		Log: func(line string) (int, error) {
			if strings.Contains(strings.ToLower(line), "warning") {
				complaints = append(complaints, line)
			}
			return len(line), nil
		},
	}
	if imp.Datacenter, err = imp.Finder.DefaultDatacenter(ctx); err != nil {
		return m, err
	}
	imp.Finder.SetDatacenter(imp.Datacenter)
	if imp.Datastore, err = imp.Finder.DefaultDatastore(ctx); err != nil {
		return m, err
	}
	if imp.ResourcePool, err = imp.Finder.ResourcePool(ctx, "DC0_C0/Resources"); err != nil {
		return m, err
	}
	folders, err := imp.Datacenter.Folders(ctx)
	if err != nil {
		return m, err
	}
	imp.Folder = folders.VmFolder
	ref, err := imp.Import(ctx, "*.ovf", opts)
	if err != nil {
		return m, err
	}
	vm := object.NewVirtualMachine(c, *ref)
	if err := vm.Properties(ctx, *ref, nil, &m.VirtualMachine); err != nil {
		return m, err
	}
	if m.devices, err = vm.Device(ctx); err != nil {
		return m, err
	}
	if len(complaints) > 0 {
		return m, fmt.Errorf("the importer warns: %s", complaints)
	}
	return m, nil
}

// answered are the options of an import that answers and maps what rich asks.
func answered() importer.Options {
	pair := func(key, value string) importer.Property {
		return importer.Property{KeyValue: importer.KeyValue{Key: key, Value: value}}
	}
	return importer.Options{
		Deployment:      "large",
		PropertyMapping: []importer.Property{pair("greeting", `Grüß & <Gott>`), pair("secret", "s3cret")},
		NetworkMapping:  []importer.Network{{Name: "front", Network: "DC0_DVPG0"}, {Name: "back", Network: "VM Network"}},
	}
}

// TestVCenter imports packages for VMware, answers their properties and maps
// their networks.
func TestVCenter(t *testing.T) {
	for _, options := range []string{`{}`, `{"system":"vmx-11"}`, `{"hash":"sha512"}`, `{"system":"none"}`} {
		t.Run(options, func(t *testing.T) {
			made := outputtest.Write(t, outputtest.Format{Format: ovf.OVA{}, Appliance: rich(), Options: options}, "1 MiB")
			m, err := vCenter(t, made.Dir.Path("hello-jvm.ova"), answered())
			if err != nil {
				t.Fatal(err)
			}
			if hw := m.Config.Hardware; m.Name != "hello-jvm" || hw.NumCPU != 8 || hw.MemoryMB != 4096 {
				t.Errorf("%s has %d processors and %d MiB", m.Name, hw.NumCPU, hw.MemoryMB)
			}
			var kinds []string
			for _, d := range m.devices {
				switch d := d.(type) {
				case *types.ParaVirtualSCSIController, *types.VirtualVmxnet3, *types.VirtualCdrom:
					kinds = append(kinds, m.devices.TypeName(d))
				case *types.VirtualDisk:
					kinds = append(kinds, fmt.Sprintf("disk of %d KiB", d.CapacityInKB))
				}
			}
			slices.Sort(kinds)
			want := []string{"ParaVirtualSCSIController", "VirtualCdrom", "VirtualVmxnet3", "VirtualVmxnet3", "disk of 1024 KiB"}
			if diff := cmp.Diff(want, kinds); diff != "" {
				t.Errorf("devices:\n%s", diff)
			}
			checkNetworks(t, m)
			checkProperties(t, m)
		})
	}
}

// checkNetworks looks at what the first and the second card are plugged into.
func checkNetworks(t *testing.T, m imported) {
	t.Helper()
	var got []string
	for _, d := range m.devices.SelectByType((*types.VirtualEthernetCard)(nil)) {
		got = append(got, fmt.Sprintf("%T", d.GetVirtualDevice().Backing))
	}
	want := []string{"*types.VirtualEthernetCardDistributedVirtualPortBackingInfo", "*types.VirtualEthernetCardNetworkBackingInfo"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("networks:\n%s", diff)
	}
}

// checkProperties compares what the vCenter has learnt of properties.
func checkProperties(t *testing.T, m imported) {
	t.Helper()
	got := map[string]string{}
	for _, p := range m.Config.VAppConfig.GetVmConfigInfo().Property {
		got[p.Id] = fmt.Sprint(p.Type, " ", p.DefaultValue, " ", p.Value)
	}
	want := map[string]string{
		"greeting": `string "Hi" & <bye> Grüß & <Gott>`, "colour": "string red ", "secret": "string  s3cret", "workers": "uint8 4 ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("properties:\n%s", diff)
	}
}

// TestVCenterParses lets VMware's parser read the descriptors of all profiles: the
// simulator has no SATA, and no cards without a model.
func TestVCenterParses(t *testing.T) {
	for hypervisor, devices := range map[string]int{"vmware": 6, "virtualbox": 5, "xenserver": 5, "ovm": 5, "generic": 5} {
		made := outputtest.Write(t, outputtest.Format{Format: ovf.OVA{}, Appliance: rich(), Options: fmt.Sprintf(`{"hypervisor":%q}`, hypervisor)}, "1 MiB")
		text, err := importer.ReadOvf("*.ovf", &importer.TapeArchive{Path: made.Dir.Path("hello-jvm.ova")})
		if err != nil {
			t.Fatal(err)
		}
		e, err := importer.ReadEnvelope(text)
		if err != nil {
			t.Errorf("%s: %v", hypervisor, err)
			continue
		}
		spec, err := e.ToConfigSpec()
		if err != nil || len(spec.DeviceChange) != devices {
			t.Errorf("%s: %d devices, want %d (%v)", hypervisor, len(spec.DeviceChange), devices, err)
		}
	}
}
