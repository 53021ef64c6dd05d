package xva

// vm is the record of the machine.
func (g guest) vm() record {
	const mib = 1 << 20
	memory := (g.Memory + mib - 1) / mib * mib
	return record{
		{"uuid", g.uuid("VM")}, {"allowed_operations", list{}}, {"current_operations", record{}}, {"power_state", "Halted"},
		{"name_label", g.Name}, {"name_description", g.Description}, {"user_version", 1}, {"is_a_template", false},
		{"suspend_VDI", noRef}, {"resident_on", noRef}, {"affinity", noRef},
		{"memory_overhead", 0}, {"memory_target", 0},
		{"memory_static_max", memory}, {"memory_dynamic_max", memory}, {"memory_dynamic_min", memory}, {"memory_static_min", memory},
		{"VCPUs_params", record{}}, {"VCPUs_max", g.CPUs}, {"VCPUs_at_startup", g.CPUs},
		{"actions_after_shutdown", "destroy"}, {"actions_after_reboot", "restart"}, {"actions_after_crash", "restart"},
		{"consoles", list{}}, {"VIFs", list{vifRef}}, {"VBDs", g.refs(vbdRef)}, {"crash_dumps", list{}}, {"VTPMs", list{}},
		{"PV_bootloader", ""}, {"PV_kernel", ""}, {"PV_ramdisk", ""}, {"PV_args", ""}, {"PV_bootloader_args", ""}, {"PV_legacy_args", ""},
		{"domain_type", "hvm"}, {"HVM_boot_policy", "BIOS order"}, {"HVM_boot_params", g.boot()}, {"HVM_shadow_multiplier", real(1)},
		{"platform", platform()}, {"PCI_bus", ""}, {"other_config", record{{"mac_seed", g.uuid("MAC")}}},
		{"domid", -1}, {"domarch", ""}, {"last_boot_CPU_flags", record{}}, {"is_control_domain", false},
		{"metrics", noRef}, {"guest_metrics", noRef}, {"last_booted_record", ""}, {"recommendations", ""}, {"xenstore_data", record{}},
		{"ha_always_run", false}, {"ha_restart_priority", ""},
		{"is_a_snapshot", false}, {"snapshot_of", noRef}, {"snapshots", list{}}, {"snapshot_time", epoch()},
		{"transportable_snapshot_id", ""}, {"snapshot_info", record{}}, {"snapshot_metadata", ""}, {"parent", noRef}, {"children", list{}},
		{"blobs", record{}}, {"tags", list{}}, {"blocked_operations", record{}}, {"bios_strings", record{}},
		{"is_snapshot_from_vmpp", false}, {"start_delay", 0}, {"shutdown_delay", 0}, {"order", 0},
		{"VGPUs", list{}}, {"attached_PCIs", list{}}, {"suspend_SR", noRef}, {"version", 0}, {"generation_id", ""},
		{"hardware_platform_version", 0}, {"has_vendor_device", false}, {"requires_reboot", false}, {"reference_label", ""},
	}
}

// boot is from the disk, by the firmware that it needs; by BIOS, the quicker
// one, when it boots by either.
func (g guest) boot() record {
	firmware := "bios"
	if g.Firmware == "uefi" {
		firmware = "uefi"
	}
	return record{{"order", "c"}, {"firmware", firmware}}
}

// platform is the emulated machine: QEMU's own model instead of its ancestor's,
// and nothing that is for Windows.
func platform() record {
	return record{
		{"acpi", "1"}, {"apic", "true"}, {"pae", "true"}, {"nx", "true"}, {"viridian", "false"},
		{"timeoffset", "0"}, {"device-model", "qemu-upstream-compat"},
	}
}
