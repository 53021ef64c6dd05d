package ovf

// machine is the virtual hardware that a hypervisor is asked for.
type machine struct {
	// system is the VirtualSystemType; without one the importer takes the
	// newest that it knows.
	system string
	// controller drives the disk: a CIM resource type, and the subtype that
	// names the model.
	controllerType              int
	controllerName, controller  string
	adapter                     string // model of the network card
	network, networkDescription string
}

// CIM resource types (CIM_ResourceAllocationSettingData).
const (
	cimCPU          = 3
	cimMemory       = 4
	cimIDE          = 5
	cimSCSI         = 6
	cimEthernet     = 10
	cimDisk         = 17
	cimOtherStorage = 20 // SATA
)

// cimLinux64 is "Linux 64-Bit" among the operating systems of CIM.
const cimLinux64 = 101

// machines are the choices of the option "hypervisor". VirtualBox knows
// neither pvscsi nor vmxnet3; what is generic is what every hypervisor
// emulates.
func machines() map[string]machine {
	return map[string]machine{
		"vmware": {
			system: "vmx-14", controllerType: cimSCSI, controllerName: "SCSI controller", controller: "VirtualSCSI",
			adapter: "VmxNet3", network: "VM Network", networkDescription: "The network of the appliance",
		},
		"virtualbox": {
			system: "virtualbox-2.2", controllerType: cimOtherStorage, controllerName: "SATA controller", controller: "AHCI",
			adapter: "E1000", network: "NAT", networkDescription: "The network of the appliance",
		},
		"generic": {
			controllerType: cimOtherStorage, controllerName: "SATA controller", controller: "AHCI",
			adapter: "E1000", network: "default", networkDescription: "The network of the appliance",
		},
	}
}
