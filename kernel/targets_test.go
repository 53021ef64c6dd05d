package kernel

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/fault"
)

// lacking lists the names of the targets that an image does not serve.
func lacking(im Image, config map[string]string, modules bool) []string {
	var names []string
	for _, t := range Targets() {
		if len(t.Lacks(im, config, modules)) > 0 {
			names = append(names, t.Name)
		}
	}
	return names
}

func TestLacks(t *testing.T) {
	whole := Image{Format: BzImage, PVH: true, XenPV: true, EFI: true, Compression: XZ}
	plain, elf := whole, whole
	plain.PVH, plain.XenPV, plain.EFI = false, false, false
	elf.Format, elf.Compression, elf.EFI = ELF, "", false
	for name, c := range map[string]struct {
		image Image
		want  []string
	}{
		"everything": {whole, nil},
		"no notes":   {plain, []string{"uefi", "pvh", "microvm", "xen-pvh", "xen-pv", "xen-pvh-direct", "xen-pv-direct"}},
		"elf": {elf, []string{"bios", "uefi", "direct", "virtio-legacy", "ec2", "vmware", "vmware-lsi", "virtualbox",
			"ide", "hyper-v", "xen-hvm", "xen-pvh"}},
	} {
		if d := cmp.Diff(c.want, lacking(c.image, nil, false)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// The universal kernels are asked for all that any target needs.
func TestUniversalServesAll(t *testing.T) {
	image := Image{Format: BzImage, PVH: true, XenPV: true, EFI: true, Compression: Gzip}
	for _, series := range Series() {
		fragments, err := Fragments(series)
		if err != nil {
			t.Fatal(err)
		}
		settings, err := Merge(fragments)
		if err != nil {
			t.Fatal(err)
		}
		config := map[string]string{}
		for _, s := range settings {
			config[s.Symbol] = s.Value
		}
		// Its symbol has no prompt: kconfig derives it.
		config["XEN_PVHVM"] = "y"
		if names := lacking(image, config, false); len(names) > 0 {
			t.Errorf("Linux %s does not serve %v", series, names)
		}
	}
}

func TestLacksSymbols(t *testing.T) {
	vmware, err := FindTarget("vmware")
	if err != nil {
		t.Fatal(err)
	}
	image := Image{Format: BzImage}
	config := map[string]string{"VMXNET3": "m", "BLK_DEV_SD": "y"}
	var features []string
	for _, l := range vmware.Lacks(image, config, false) {
		features = append(features, l.Feature)
		if l.Remedy == "" {
			t.Errorf("%s: nothing to do", l.Feature)
		}
	}
	if d := cmp.Diff([]string{"CONFIG_VMWARE_PVSCSI", "CONFIG_VMXNET3, which is a module"}, features); d != "" {
		t.Error(d)
	}
	if l := vmware.Lacks(image, config, true); len(l) != 1 || !strings.Contains(l[0].Feature, "PVSCSI") {
		t.Errorf("with modules: %v", l)
	}
	if _, err := FindTarget("toaster"); fault.KindOf(err) != fault.Usage {
		t.Errorf("an unknown target: %v", err)
	}
}
