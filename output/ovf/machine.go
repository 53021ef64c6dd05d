package ovf

import (
	"fmt"
	"regexp"
	"strings"
)

// machine is the virtual hardware that a hypervisor is asked for.
type machine struct {
	// system is the VirtualSystemType; without one the importer takes the
	// newest that it knows.
	system     string
	controller controller // of the disk
	adapter    string     // model of the network card
	network    string     // that the card is on when the appliance names none
	// settings tells that VMware's own settings are understood.
	settings bool
	// shares tells that processors and memory come with a limit, a
	// reservation and a weight.
	shares bool
}

// controller is what drives disks: a CIM resource type, and the subtype that
// names the model.
type controller struct {
	kind        int
	name, model string
}

// CIM resource types (CIM_ResourceAllocationSettingData).
const (
	cimCPU          = 3
	cimMemory       = 4
	cimIDE          = 5
	cimSCSI         = 6
	cimEthernet     = 10
	cimCD           = 15
	cimDVD          = 16
	cimDisk         = 17
	cimOtherStorage = 20 // SATA
)

// cimLinux64 is "Linux 64-Bit" among the operating systems of CIM.
const cimLinux64 = 101

// machines are the choices of the option "hypervisor". VirtualBox knows
// neither pvscsi nor vmxnet3; what is generic is what every hypervisor
// emulates. XenServer and Oracle VM give a guest with full virtualization an
// IDE disk and a Realtek card, and their own drivers see the same devices; a
// card's model is theirs to choose. XenCenter ends in an error when a
// processor has no limit (xenserver/xenadmin issue 2954).
func machines() map[string]machine {
	ahci := controller{cimOtherStorage, "SATA controller", "AHCI"}
	ide := controller{cimIDE, "IDE controller", ""}
	return map[string]machine{
		"vmware": {
			system: "vmx-14", controller: controller{cimSCSI, "SCSI controller", "VirtualSCSI"},
			adapter: "VmxNet3", network: "VM Network", settings: true,
		},
		"virtualbox": {system: "virtualbox-2.2", controller: ahci, adapter: "E1000", network: "NAT", settings: true},
		"xenserver":  {system: "hvm-3.0-unknown", controller: ide, network: "Network 0", shares: true},
		"ovm":        {system: "hvm-3.0-unknown", controller: ide, network: "default", shares: true},
		"generic":    {controller: ahci, adapter: "E1000", network: "default", settings: true},
	}
}

// hypervisorNames are those choices, in the order of the documentation.
func hypervisorNames() []string {
	return []string{"vmware", "virtualbox", "xenserver", "ovm", "generic"}
}

// noSystem is the value of the option "system" that leaves the type out.
const noSystem = "none"

var systemTypes = regexp.MustCompile(`^[A-Za-z0-9._-]+( [A-Za-z0-9._-]+)*$`)

// choose returns the machines of the options.
func (o Options) choose() ([]machine, error) {
	var chosen []machine
	for i, name := range o.Hypervisor {
		m, ok := machines()[name]
		if !ok {
			return nil, fmt.Errorf("hypervisor: %q is not known", name)
		}
		for _, before := range o.Hypervisor[:i] {
			if before == name {
				return nil, fmt.Errorf("hypervisor: %s is given twice", name)
			}
		}
		chosen = append(chosen, m)
	}
	switch {
	case len(chosen) == 0:
		return nil, fmt.Errorf("hypervisor: the list is empty")
	case o.System == "":
	case len(chosen) > 1:
		return nil, fmt.Errorf("system: it goes with one hypervisor, not with %s", strings.Join(o.Hypervisor, " and "))
	case o.System == noSystem:
		chosen[0].system = ""
	case !systemTypes.MatchString(o.System):
		return nil, fmt.Errorf("system: %q is no list of machine types, divided by single blanks", o.System)
	default:
		chosen[0].system = o.System
	}
	return chosen, nil
}
