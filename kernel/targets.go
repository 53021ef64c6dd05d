package kernel

import (
	"fmt"
	"slices"
	"strings"

	"github.com/imgbuild/imgbuild/fault"
)

// Target is a kind of machine, as far as it asks something of a kernel. The
// names are those of the machines that appliances are tested on.
type Target struct {
	Name  string
	About string
	// Formats are those that the way to the kernel takes; none means all.
	Formats []Format
	// Note is the Xen note without which the kernel cannot be entered.
	Note Note
	// EFI says that firmware starts the kernel through its EFI stub.
	EFI bool
	// Symbols must be in the configuration, when that is known.
	Symbols []string
}

// Note is a Xen note of an ELF.
type Note string

// The notes that targets ask for.
const (
	NotePVH Note = "PHYS32_ENTRY" // PVH
	NotePV  Note = "ENTRY"        // paravirtual guests
)

// Targets returns the targets that a kernel can be checked against.
func Targets() []Target {
	bz := []Format{BzImage}
	virtio := []string{"VIRTIO_PCI", "VIRTIO_BLK", "VIRTIO_NET"}
	xen := []string{"XEN_BLKDEV_FRONTEND", "XEN_NETDEV_FRONTEND"}
	with := func(list []string, more ...string) []string { return append(slices.Clone(list), more...) }
	return []Target{
		{Name: "bios", About: "KVM by BIOS", Formats: bz, Symbols: virtio},
		{Name: "uefi", About: "KVM by UEFI", Formats: bz, EFI: true, Symbols: with(virtio, "EFI_STUB")},
		{Name: "direct", About: "KVM, the kernel loaded as bzImage", Formats: bz, Symbols: virtio},
		{Name: "pvh", About: "KVM, the ELF entered by PVH", Note: NotePVH, Symbols: with(virtio, "PVH")},
		{Name: "microvm", About: "KVM without PCI", Note: NotePVH,
			Symbols: []string{"PVH", "VIRTIO_MMIO", "VIRTIO_MMIO_CMDLINE_DEVICES", "VIRTIO_BLK", "VIRTIO_NET"}},
		{Name: "virtio-legacy", About: "hypervisors before 2014", Formats: bz, Symbols: with(virtio, "VIRTIO_PCI_LEGACY")},
		{Name: "ec2", About: "EC2: NVMe and ENA", Formats: bz, Symbols: []string{"BLK_DEV_NVME", "ENA_ETHERNET"}},
		{Name: "vmware", About: "VMware: pvscsi and vmxnet3", Formats: bz, Symbols: []string{"VMWARE_PVSCSI", "BLK_DEV_SD", "VMXNET3"}},
		{Name: "vmware-lsi", About: "VMware: LSI Logic SAS and e1000", Formats: bz, Symbols: []string{"FUSION_SAS", "BLK_DEV_SD", "E1000"}},
		{Name: "virtualbox", About: "VirtualBox: AHCI and e1000", Formats: bz, Symbols: []string{"SATA_AHCI", "BLK_DEV_SD", "E1000"}},
		{Name: "ide", About: "the oldest: IDE and e1000", Formats: bz, Symbols: []string{"ATA_PIIX", "BLK_DEV_SD", "E1000"}},
		{Name: "hyper-v", About: "Hyper-V", Formats: bz, Symbols: []string{"HYPERV_STORAGE", "HYPERV_NET"}},
		{Name: "xen-hvm", About: "Xen HVM", Formats: bz, Symbols: with(xen, "XEN_PVHVM")},
		{Name: "xen-pvh", About: "Xen PVH from the disk, through GRUB", Formats: bz, Note: NotePVH, Symbols: with(xen, "XEN_PVH", "HVC_XEN")},
		{Name: "xen-pv", About: "Xen PV from the disk, through GRUB", Note: NotePV, Symbols: with(xen, "XEN_PV", "HVC_XEN")},
		{Name: "xen-pvh-direct", About: "Xen PVH, the kernel given to xl", Note: NotePVH, Symbols: with(xen, "XEN_PVH", "HVC_XEN")},
		{Name: "xen-pv-direct", About: "Xen PV, the kernel given to xl", Note: NotePV, Symbols: with(xen, "XEN_PV", "HVC_XEN")},
	}
}

// FindTarget returns a target by its name. An unknown name is a fault.Usage.
func FindTarget(name string) (Target, error) {
	var names []string
	for _, t := range Targets() {
		if t.Name == name {
			return t, nil
		}
		names = append(names, t.Name)
	}
	return Target{}, fault.New(fault.Usage, fmt.Errorf("there is no target %q", name), "choose from "+strings.Join(names, ", "))
}

// Lack is a feature that a target needs and a kernel does not have.
type Lack struct {
	Feature string `json:"feature"` // what is missing
	Remedy  string `json:"remedy"`  // what to do about it
}

// Lacks returns what a kernel lacks for the target. config is its
// configuration, nil when that is not known: symbols are not checked then.
// modules says that an initramfs loads its modules, so that m is as good as y.
func (t Target) Lacks(im Image, config map[string]string, modules bool) []Lack {
	var lacks []Lack
	add := func(remedy, format string, args ...any) {
		lacks = append(lacks, Lack{Feature: fmt.Sprintf(format, args...), Remedy: remedy})
	}
	if len(t.Formats) > 0 && !slices.Contains(t.Formats, im.Format) {
		add("give the arch/x86/boot/bzImage of the same build", "the form of a bzImage: the file is an ELF, which no firmware or boot loader of this target takes")
	}
	switch {
	case t.Note == NotePVH && !im.PVH:
		add("build it with CONFIG_PVH=y", "the Xen note PHYS32_ENTRY (18), by which PVH enters")
	case t.Note == NotePV && !im.XenPV:
		add("build it with CONFIG_XEN_PV=y", "the Xen note ENTRY (1), where a paravirtual guest begins")
	}
	if t.EFI && im.Format == BzImage && !im.EFI {
		add("build it with CONFIG_EFI_STUB=y", "the EFI stub, by which firmware starts it")
	}
	if config == nil {
		return lacks
	}
	for _, symbol := range t.Symbols {
		switch value := config[symbol]; {
		case value == "y", value == "m" && modules:
		case value == "m":
			add("build it in (=y); a kernel file brings no modules", "CONFIG_%s, which is a module", symbol)
		default:
			add(fmt.Sprintf("build it with CONFIG_%s=y", symbol), "CONFIG_%s", symbol)
		}
	}
	return lacks
}
