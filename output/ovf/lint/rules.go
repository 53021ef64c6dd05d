package lint

// Rule is something that a package should keep to.
type Rule struct {
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	// Why names who minds, and what they say.
	Why string `json:"why"`
	// Remedy says what to do.
	Remedy string `json:"remedy"`
}

// Rules lists all of them.
func Rules() []Rule {
	return append(append(packageRules(), descriptorRules()...), machineRules()...)
}

// ruleNamed returns a rule by its identifier.
func ruleNamed(id string) Rule {
	for _, r := range Rules() {
		if r.ID == id {
			return r
		}
	}
	return Rule{ID: id, Severity: Error}
}

// packageRules are about the archive, the manifest and the signature.
func packageRules() []Rule {
	return []Rule{
		{"ova-order", Error, `importers look for the descriptor first: "Did not find an .ovf file at the beginning" (coreos-assembler 1141)`, "put the .ovf first, then .mf and .cert, then the files in the order of the references"},
		{"ova-references", Warning, "an importer that reads the archive as a stream wants the files in the order of the references (DSP0243 section 5.3)", "archive the files in the order in which the descriptor refers to them"},
		{"ova-member", Error, "an archive holds plain files and nothing else (DSP0243 section 5.3)", "leave folders, links and sparse files out: tar --format=ustar -cf app.ova app.ovf app.mf app-disk1.vmdk"},
		{"ova-name", Warning, "virt-v2v reads the listing of tar, which odd names break (virt-v2v 6)", "use ASCII letters without blanks or folders"},
		{"ova-stem", Error, "manifest and certificate are found by the name of the descriptor (DSP0243 section 5.1)", "give .ovf, .mf and .cert the same name"},
		{"ova-pax", Warning, "not every importer reads the headers of POSIX archives", "write the archive with tar --format=ustar"},
		{"ova-large", Error, "a file of 8 GiB or more does not fit the octal size of ustar, and VirtualBox failed on another encoding (xen-orchestra 7183)", "write its size in base 256, as tar --format=gnu does"},
		{"ova-end", Warning, "an archive ends with two blocks of zeros and is a multiple of 10 KiB long", "write the archive with tar, and do not cut it"},
		{"ova-unreferenced", Warning, "importers ignore or refuse files that the descriptor does not name", "leave the file out, or refer to it"},
		{"manifest-missing", Warning, "nothing tells a damaged package from a good one", "write a manifest"},
		{"manifest-syntax", Error, `a blank before the bracket gives "Invalid OVF checksum algorithm: SHA256 " (home-assistant 826), and so does the SHA2-256 of OpenSSL 3 (home-assistant 3654)`, "write SHA256(name)= digest, in lower case"},
		{"manifest-sha1", Warning, "vSphere 7 and 8 refuse SHA1 where the policy says so (OpenCTI 1642)", "use SHA256"},
		{"manifest-digest", Error, `importers refuse files that are not as the manifest says ("digest does not match manifest")`, "write the manifest after the last change"},
		{"signature", Error, "a package with a wrong signature is refused", "sign the manifest after the last change"},
	}
}

// descriptorRules are about the text of the descriptor.
func descriptorRules() []Rule {
	return []Rule{
		{"ovf-version", Error, "VMware and virt-v2v refuse OVF 2 (virt-v2v 18), and nobody new reads 0.9", "write OVF 1.x: http://schemas.dmtf.org/ovf/envelope/1"},
		{"prefixed-element", Warning, "some importers find OVF's elements by their bare names (xen-orchestra 3962)", "make OVF's the default namespace"},
		{"bare-attribute", Error, "OVF's attributes are qualified: ovf:id, never id (DSP8023)", "write the prefix"},
		{"info-missing", Error, "every section begins with Info (DSP0243 section 8.3)", "add <Info>"},
		{"section-order", Error, "sections have an order, and strict importers keep to it (DSP8023)", "References, sections, VirtualSystem, Strings; in a system Info, Name, sections"},
		{"references-missing", Error, "References is there even when it is empty (DSP0243 section 7)", "add <References/>"},
		{"file-missing", Error, "a file that is referred to has to be in the package", "add the file, or drop the reference"},
		{"file-size", Error, "ovf:size is the length of the file in the archive, to the byte (delphix 732, coreos-assembler 1141)", "write what stat says, not what qemu-img calls the actual size"},
		{"file-compressed", Error, `vSphere: "package with compressed disks is currently not supported" (EMCECS 329)`, "streamOptimized disks are compressed already: add them as they are"},
		{"file-chunked", Warning, "hardly any importer puts chunks together", "add the file whole"},
		{"dangling-file", Error, "a disk lies in a file that is not among the references", "correct ovf:fileRef"},
		{"dangling-disk", Error, "a machine has a disk that is not described; an importer may crash", "correct rasd:HostResource"},
		{"id-twice", Error, "files and disks are found by their IDs, each of which names one (DSP0243 sections 7.1 and 9.1)", "give each an ID of its own"},
		{"disk-parent", Error, "hardly any importer puts a disk together from one that it builds on and what differs (DSP0243 section 9.1)", "consolidate the snapshots of the machine, and export it again"},
		{"host-resource", Warning, "the address of a disk is ovf:/disk/ID (DSP0243 section 8.1)", "write ovf:/disk/ before the ID"},
		{"unused-disk", Warning, "a disk that no machine has is uploaded for nothing", "drop the disk, or give it to the machine"},
		{"capacity-unit", Warning, "readers die without ovf:capacityAllocationUnits (compute-image-tools 920), though bytes are meant", `write ovf:capacityAllocationUnits="byte"`},
		{"unit-old", Warning, "the words of OVF 0.9, such as MegaBytes, are not what every importer compares with (forklift 1667)", "write byte * 2^20 (DSP0004 annex C)"},
		{"capacity", Error, "a wrong unit made disks of 8192 TB (talos 7627); a capacity that is not the disk's is refused (LibreELEC 1878, xen-orchestra 6824)", "write the virtual size of the disk, in bytes"},
		{"disk-format", Error, "ESXi refuses an address that ends in # alone (isar 106), and one that is not the disk's", "write http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"},
		{"strings-order", Warning, "text bundles come first among the references (DSP0243 section 10)", "move them to the front"},
	}
}

// machineRules are about virtual hardware, disks, and what is asked.
func machineRules() []Rule {
	return []Rule{
		{"hardware-missing", Error, "there is nothing to make a machine from (opensemanticsearch 96)", "add a VirtualHardwareSection"},
		{"hardware-families", Warning, "VMware refuses or warns of sets of hardware that it does not know", "write one package for each kind of importer"},
		{"system-type", Error, `"Unsupported hardware family" (dozens of reports)`, "name a type that the importer knows: vmx-14, virtualbox-2.2, hvm-3.0-unknown"},
		{"system-new", Warning, "ESXi refuses types newer than itself: vmx-20 on 7.0 (packer-builds 36), vmx-19 on 6.7 (bitnami 1555)", "name vmx-14, or several: vmx-11 vmx-14"},
		{"system-old", Warning, "ESXi 7 and later warn of, or refuse, types before vmx-11 (home-assistant 3163)", "name vmx-14"},
		{"instance-id", Error, "items are told apart by InstanceID, with a capital D since OVF 1.0", "give each item an InstanceID of its own"},
		{"item-order", Error, "what an item has comes in the order of the alphabet (CIM_ResourceAllocationSettingData)", "sort the children of the item"},
		{"item-parent", Error, "an item lies on another one that is not there", "correct rasd:Parent"},
		{"unknown-option", Error, "an item belongs to a deployment option that is not there", "add the option to the DeploymentOptionSection"},
		{"option-order", Warning, "what every option has comes before what one replaces (DSP0243 section 9.8)", "move the item without ovf:configuration to the front"},
		{"memory-step", Error, "VMware starts no machine whose memory is not a multiple of 4 MiB", "round rasd:VirtualQuantity up"},
		{"network-missing", Error, "a card is on a network that is not described", "add it to the NetworkSection"},
		{"required-config", Error, "ESXi refuses settings that it does not know unless they may be ignored (gns3-vm 40)", `write ovf:required="false"`},
		{"startup-section", Error, "VMware refuses a StartupSection in a single machine, and the sections that Xen exports (xenadmin 202)", "drop the section"},
		{"piix4", Warning, "ESXi warns of the subtype PIIX4 (packetfence 5522)", "leave rasd:ResourceSubType of the IDE controller out"},
		{"xen-limits", Warning, "XenCenter crashed on processors without a limit until 2022 (xenadmin 2954)", "write rasd:Limit and rasd:Reservation"},
		{"virtualbox-devices", Error, "VirtualBox has neither pvscsi nor vmxnet3", "use AHCI or lsilogic, and E1000"},
		{"vmdk-version", Error, `ESXi: "sparse VMDK version too old" (cot 65)`, "write version 3 of streamOptimized"},
		{"vmdk-type", Error, "importers take streamOptimized disks, and no other type of VMDK (xen-orchestra 4138)", "convert the disk: imgbuild convert IN OUT.vmdk"},
		{"vmdk-descriptor", Error, "the text in a streamOptimized disk says that it is one: a writer of others called it vmfs, and readers refuse it", "write the disk with imgbuild"},
		{"vmdk-tools", Warning, "VMware complains of tools that are missing, unless the disk says who manages them (VMDK-stream-converter 12)", `write ddb.toolsVersion = "2147483647" into the text in the disk`},
		{"vmdk-trailing", Error, "bytes behind the end of the stream are not hashed by some importers, and then the digest is wrong (home-assistant 2121, coreos-assembler 1156)", "write the disk with imgbuild, and not with qemu-img"},
		{"vmdk-damaged", Error, "the disk cannot be read", "write the disk anew"},
		{"disk-unreadable", Error, "the disk cannot be read", "write the disk anew, in a format of OVF"},
		{"property-key", Error, "the key of a property has neither periods nor colons (DSP0243 section 9.5.1)", "use ovf:class and ovf:instance"},
		{"property-type", Error, "the value of a property is one of its type, and the type one of OVF's", "correct ovf:type or ovf:value"},
		{"property-twice", Error, "class, key and instance name one property (DSP0243 section 9.5)", "drop one of them, or write ovf:instance"},
		{"property-fixed", Warning, "nobody can give a value: ovf:userConfigurable is false when it is left out (DSP0243 section 9.5)", `write ovf:userConfigurable="true", or a value`},
		{"property-password", Warning, "a password in the descriptor is everybody's who has the package", "leave ovf:value out: the importer asks"},
		{"property-transport", Warning, "properties do not reach the guest without a transport (DSP0243 section 11.2)", `write ovf:transport="iso" and a CD drive`},
		{"iso-without-cd", Warning, "the transport iso needs a CD drive", "add an item of type 15"},
	}
}
