// Package target names the machines that an appliance is meant for.
//
// A [Target] is a whole machine: the way to its kernel, its board, the bus of
// its disk and its network card. What QEMU cannot emulate has a stand-in of the
// same kind, and [Target.About] says so: EC2's network card is one, Hyper-V has
// none at all. Whether the kernel has their drivers is checked when it is
// built, since every line of its fragments must be in its configuration.
//
// A new target is one line in [All]. [Find] takes names of targets and of
// groups of them.
package target

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/vm"
)

// Target is a kind of machine.
type Target struct {
	Name  string
	About string // one line for people
	// Groups are the names that mean this target among others.
	Groups []string

	Boot    vm.Boot
	Machine vm.MachineType
	Bus     vm.Bus
	NIC     vm.NIC
}

// The groups.
const (
	Quick   = "quick"    // the two ways of real machines; what is tested by default
	AllQEMU = "all-qemu" // everything that QEMU alone emulates
	AllXen  = "all-xen"  // a real Xen, which QEMU emulates a machine for: minutes each
)

// All returns the targets, in the order of reports.
func All() []Target {
	quick, qemu, xen := []string{Quick, AllQEMU}, []string{AllQEMU}, []string{AllXen}
	return []Target{
		{"bios", "KVM: SeaBIOS, the disk's boot loader, virtio", quick, vm.BIOS, vm.Q35, vm.Virtio, vm.VirtioNet},
		{"uefi", "KVM: OVMF, the disk's EFI program, virtio", quick, vm.UEFI, vm.Q35, vm.Virtio, vm.VirtioNet},
		{"direct", "KVM: QEMU loads the disk's kernel as bzImage", qemu, vm.Direct, vm.Q35, vm.Virtio, vm.VirtioNet},
		{"pvh", "KVM: QEMU enters the ELF within that kernel", qemu, vm.PVH, vm.Q35, vm.Virtio, vm.VirtioNet},
		{"microvm", "KVM without PCI: virtio-mmio, PVH", qemu, vm.PVH, vm.MicroVM, vm.Virtio, vm.VirtioNet},
		{"virtio-legacy", "hypervisors before 2014: virtio 0.9 only", qemu, vm.BIOS, vm.PC, vm.VirtioLegacy, vm.VirtioNetLegacy},
		{"ec2", "EC2: UEFI, NVMe; e1000e stands in for ENA", qemu, vm.UEFI, vm.Q35, vm.NVMe, vm.E1000E},
		{"vmware", "VMware: pvscsi and vmxnet3", qemu, vm.BIOS, vm.Q35, vm.PVSCSI, vm.VMXNet3},
		{"vmware-lsi", "VMware: LSI Logic SAS and e1000", qemu, vm.BIOS, vm.PC, vm.LSISAS, vm.E1000},
		{"virtualbox", "VirtualBox: AHCI and e1000", qemu, vm.BIOS, vm.PC, vm.AHCI, vm.E1000},
		{"ide", "the oldest: IDE and e1000", qemu, vm.BIOS, vm.PC, vm.IDE, vm.E1000},
		{"xen-pvh", "Xen: PVH, GRUB from the disk", xen, vm.XenPVH, vm.Q35, vm.Virtio, vm.VirtioNet},
		{"xen-pv", "Xen: paravirtual, GRUB from the disk", xen, vm.XenPV, vm.Q35, vm.Virtio, vm.VirtioNet},
		{"xen-hvm", "Xen: SeaBIOS, the disk's boot loader", xen, vm.XenHVM, vm.Q35, vm.Virtio, vm.VirtioNet},
		{"xen-pvh-direct", "Xen: PVH, xl loads the disk's kernel", xen, vm.XenPVHDirect, vm.Q35, vm.Virtio, vm.VirtioNet},
		{"xen-pv-direct", "Xen: paravirtual, xl loads the disk's kernel", xen, vm.XenPVDirect, vm.Q35, vm.Virtio, vm.VirtioNet},
	}
}

// Fill returns o with what it leaves open of the machine taken from t.
func (t Target) Fill(o vm.Options) vm.Options {
	or(&o.Boot, t.Boot)
	or(&o.Machine, t.Machine)
	or(&o.Bus, t.Bus)
	or(&o.NIC, t.NIC)
	return o
}

func or[T ~string](field *T, value T) {
	if *field == "" {
		*field = value
	}
}

// Find returns the targets of the given names, which are those of targets and
// of groups, each target once. An unknown name, or none at all, is a fault of
// kind Usage.
func Find(names ...string) ([]Target, error) {
	var found []Target
	for _, name := range names {
		matches := 0
		for _, t := range All() {
			if t.Name != name && !slices.Contains(t.Groups, name) {
				continue
			}
			matches++
			if !slices.ContainsFunc(found, func(f Target) bool { return f.Name == t.Name }) {
				found = append(found, t)
			}
		}
		if matches == 0 {
			return nil, fault.New(fault.Usage, fmt.Errorf("there is no target %q", name), "choose from "+strings.Join(Names(), ", "))
		}
	}
	if len(found) == 0 {
		return nil, fault.New(fault.Usage, fmt.Errorf("no target is named"), "choose from "+strings.Join(Names(), ", "))
	}
	return found, nil
}

// Names returns every name that [Find] knows: targets, then groups.
func Names() []string {
	var names, groups []string
	for _, t := range All() {
		names = append(names, t.Name)
		for _, g := range t.Groups {
			if !slices.Contains(groups, g) {
				groups = append(groups, g)
			}
		}
	}
	return append(names, groups...)
}

// Help returns a table of all targets and groups for people.
func Help() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, t := range All() {
		fmt.Fprintf(w, "  %s\t%s\n", t.Name, t.About)
	}
	for _, g := range Names()[len(All()):] {
		var members []string
		for _, t := range All() {
			if slices.Contains(t.Groups, g) {
				members = append(members, t.Name)
			}
		}
		fmt.Fprintf(w, "  %s\t%s\n", g, summary(members))
	}
	w.Flush() // a strings.Builder takes everything
	return b.String()
}

// summary lists a few names, and counts many.
func summary(names []string) string {
	if len(names) <= 4 {
		return strings.Join(names, " and ")
	}
	return fmt.Sprintf("%d targets, from %s to %s", len(names), names[0], names[len(names)-1])
}
