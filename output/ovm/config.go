package ovm

import (
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/xen/xlcfg"
)

// config returns vm.cfg. The manager replaces the path of the disk and gives
// the network card its address and bridge.
func config(a output.Appliance, domain string) []byte {
	const mib = 1 << 20
	memory := (a.Memory + mib - 1) / mib
	var w xlcfg.Writer
	w.String("name", a.Name)
	w.String("OVM_simple_name", a.Name)
	w.String("OVM_description", a.Description)
	w.String("OVM_os_type", "Other Linux")
	w.String("guest_os_type", "linux")
	w.String("OVM_domain_type", domain)
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
	w.List("disk", "file:"+DiskName+","+device(domain)+",w")
	w.List("vif", card(domain))
	w.String("on_poweroff", "destroy")
	w.String("on_reboot", "restart")
	w.String("on_crash", "restart")
	return w.Bytes()
}

// device is what the guest sees the disk as.
func device(domain string) string {
	if domain == emulated {
		return "hda"
	}
	return "xvda"
}

// card is emulated for kernels that have no driver for Xen's own.
func card(domain string) string {
	if domain == emulated {
		return "type=ioemu,model=e1000"
	}
	return "type=netfront"
}
