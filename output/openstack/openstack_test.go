package openstack_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/output/openstack"
	"github.com/imgbuild/imgbuild/output/outputtest"
)

var files = []string{"hello-jvm-openstack.json", "hello-jvm-openstack.qcow2"}

func TestFormat(t *testing.T) {
	outputtest.Test(t, outputtest.Format{Format: openstack.Format{}, Files: files, Check: check})
}

func check(t *testing.T, m outputtest.Made) {
	path := m.Dir.Path(files[1])
	disktest.Run(t, disktest.Program(t, "qemu-img", "qemu-utils"), "check", "-f", "qcow2", path)
	outputtest.Compare(t, m, "qcow2", path)
	want := properties("")
	want["min_disk"] = float64((m.Disk.Size() + 1<<30 - 1) >> 30)
	if diff := cmp.Diff(want, read(t, m)); diff != "" {
		t.Errorf("the properties are others:\n%s", diff)
	}
}

// TestFirmware tells Nova only what is not up to it.
func TestFirmware(t *testing.T) {
	for firmware, want := range map[string]string{"any": "", "bios": "bios", "uefi": "uefi"} {
		a := outputtest.Appliance()
		a.Firmware = firmware
		m := outputtest.Write(t, outputtest.Format{Format: openstack.Format{}, Appliance: a}, "1 MiB")
		if diff := cmp.Diff(properties(want), read(t, m)); diff != "" {
			t.Errorf("%s: the properties are others:\n%s", firmware, diff)
		}
	}
}

// properties are those of the appliance of outputtest on a disk below 1 GiB.
func properties(firmware string) map[string]any {
	p := map[string]any{
		"name": "hello-jvm", "disk_format": "qcow2", "container_format": "bare", "architecture": "x86_64",
		"min_disk": 1.0, "min_ram": 250.0, "description": outputtest.Appliance().Description, "os_type": "linux", "os_version": "1.0.0",
		"hw_disk_bus": "virtio", "hw_vif_model": "virtio", "hw_rng_model": "virtio", "hw_machine_type": "q35",
	}
	if firmware != "" {
		p["hw_firmware_type"] = firmware
	}
	return p
}

func read(t *testing.T, m outputtest.Made) map[string]any {
	t.Helper()
	text, err := os.ReadFile(m.Dir.Path(files[0]))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	return got
}
