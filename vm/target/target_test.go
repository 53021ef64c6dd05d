package target

import (
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/kernel"
	"github.com/imgbuild/imgbuild/vm"
)

// Every target must be a machine that can be made, under a name of its own.
func TestTargetsAreMachines(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, target := range All() {
		if _, err := vm.New(target.Fill(vm.Options{Disk: "disk.raw"})); err != nil {
			t.Errorf("%s: %v", target.Name, err)
		}
		if seen[target.Name] || target.About == "" {
			t.Errorf("%q is taken, or says nothing", target.Name)
		}
		seen[target.Name] = true
		for _, g := range target.Groups {
			if seen[g] && g != Quick && g != AllQEMU && g != AllXen {
				t.Errorf("the group %s has the name of a target", g)
			}
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ names, want string }{
		{"quick", "bios uefi"},
		{"ide quick bios", "ide bios uefi"},
		{"microvm", "microvm"},
	} {
		found, err := Find(strings.Fields(test.names)...)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range found {
			names = append(names, f.Name)
		}
		if got := strings.Join(names, " "); got != test.want {
			t.Errorf("Find(%s) = %s, want %s", test.names, got, test.want)
		}
	}
	if all, err := Find(AllQEMU); err != nil || len(all) < 11 {
		t.Errorf("Find(%s) = %d targets, %v", AllQEMU, len(all), err)
	}
	for _, names := range [][]string{{"warm"}, {"bios", ""}, nil} {
		if _, err := Find(names...); fault.KindOf(err) != fault.Usage || len(fault.HintsOf(err)) == 0 {
			t.Errorf("Find(%q) = %v, want a usage fault with a hint", names, err)
		}
	}
}

// What the options say wins over the target.
func TestFill(t *testing.T) {
	t.Parallel()
	found, err := Find("vmware")
	if err != nil {
		t.Fatal(err)
	}
	o := found[0].Fill(vm.Options{NIC: vm.E1000})
	if o.Bus != vm.PVSCSI || o.NIC != vm.E1000 || o.Boot != vm.BIOS || o.Machine != vm.Q35 {
		t.Errorf("Fill = %+v", o)
	}
}

// The universal kernel of every series must ask for the drivers of every
// target, those without an emulation among them. A build fails when one of
// them is not in the configuration that kconfig makes.
func TestKernelHasDrivers(t *testing.T) {
	t.Parallel()
	drivers := map[string]string{
		"kvm":           "VIRTIO_PCI VIRTIO_BLK VIRTIO_NET SCSI_VIRTIO PVH",
		"microvm":       "VIRTIO_MMIO VIRTIO_MMIO_CMDLINE_DEVICES VIRTIO_CONSOLE",
		"virtio-legacy": "VIRTIO_PCI_LEGACY",
		"ec2":           "BLK_DEV_NVME ENA_ETHERNET IXGBEVF E1000E EFI_STUB XEN_BLKDEV_FRONTEND XEN_NETDEV_FRONTEND",
		"vmware":        "VMWARE_PVSCSI VMXNET3 FUSION_SPI FUSION_SAS E1000",
		"virtualbox":    "SATA_AHCI E1000",
		"ide":           "ATA_PIIX",
		"hyper-v":       "HYPERV HYPERV_STORAGE HYPERV_NET HYPERV_TIMER HYPERV_UTILS",
	}
	for _, series := range kernel.Series() {
		fragments, err := kernel.Fragments(series)
		if err != nil {
			t.Fatal(err)
		}
		settings, err := kernel.Merge(fragments)
		if err != nil {
			t.Fatal(err)
		}
		asked := map[string]string{}
		for _, s := range settings {
			asked[s.Symbol] = s.Value
		}
		for name, symbols := range drivers {
			for _, symbol := range strings.Fields(symbols) {
				if asked[symbol] != "y" {
					t.Errorf("%s: the kernel of %s is not asked for CONFIG_%s", name, series, symbol)
				}
			}
		}
	}
}
