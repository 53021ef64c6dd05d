package ovm

import (
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/xen/xlcfg"
)

// machine is what vm.cfg tells.
type machine struct {
	output.Appliance
	domain string
}

// config returns vm.cfg. The manager replaces the paths of the disks and gives
// the network card its address and bridge.
func (a machine) config() []byte {
	const mib = 1 << 20
	memory := (a.Memory + mib - 1) / mib
	var w xlcfg.Writer
	w.String("name", a.Name)
	w.String("OVM_simple_name", a.Name)
	w.String("OVM_description", a.Description)
	w.String("OVM_os_type", "Other Linux")
	w.String("guest_os_type", "linux")
	w.String("OVM_domain_type", a.domain)
	w.String("builder", "hvm")
	w.String("kernel", "hvmloader")
	w.String("boot", "c")
	w.Int("acpi", 1)
	w.Int("apic", 1)
	w.Int("pae", 1)
	w.Int("memory", memory)
	w.Int("maxmem", memory)
	w.Int("vcpus", int64(a.CPUs))
	w.Int("maxvcpus", int64(a.CPUs))
	w.String("serial", "pty")
	var disks []string
	for i := range 1 + len(a.Disks) {
		disks = append(disks, "file:"+DiskName(i)+","+a.device(i)+",w")
	}
	w.List("disk", disks...)
	w.List("vif", a.card())
	w.String("on_poweroff", "destroy")
	w.String("on_reboot", "restart")
	w.String("on_crash", "restart")
	return w.Bytes()
}

// maxDisks is how many disks a machine has names for, or places on the
// emulated IDE.
func (a machine) maxDisks() int {
	if a.domain == emulated {
		return 4
	}
	return 26
}

// device is what the guest sees the disk i as.
func (a machine) device(i int) string {
	letter := string(rune('a' + i))
	if a.domain == emulated {
		return "hd" + letter
	}
	return "xvd" + letter
}

// card is emulated for kernels that have no driver for Xen's own.
func (a machine) card() string {
	if a.domain == emulated {
		return "type=ioemu,model=e1000"
	}
	return "type=netfront"
}
