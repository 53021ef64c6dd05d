package ovf_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/ovf"
)

// virtV2V lets virt-v2v say what it takes an OVA for. It verifies the manifest,
// and starts no machine.
func virtV2V(t *testing.T, path string) (string, error) {
	t.Helper()
	cmd := exec.Command(disktest.Program(t, "virt-v2v", "virt-v2v"), "--print-source", "-i", "ova", path)
	// Without libvirt, in the folder of this test.
	cmd.Env = append(os.Environ(), "LIBGUESTFS_BACKEND=direct", "LC_ALL=C", "TMPDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestVirtV2V judges the packages of all profiles, with all that they can ask.
// Its word for what it does not know is none at all.
func TestVirtV2V(t *testing.T) {
	for hypervisor, want := range map[string][]string{
		"vmware":     {"0 [scsi]", `Bridge "front" [vmxnet3]`, `Bridge "back" [vmxnet3]`, "CD-ROM [ide]"},
		"virtualbox": {"0 [sata]", `Bridge "front" [e1000]`, "CD-ROM [sata]"},
		"xenserver":  {"0 [ide]", `Bridge "front"`, "CD-ROM [ide]"},
		"ovm":        {"0 [ide]", `Bridge "front"`, "CD-ROM [ide]"},
		"generic":    {"0 [sata]", `Bridge "front" [e1000]`, "CD-ROM [sata]"},
	} {
		t.Run(hypervisor, func(t *testing.T) {
			m := outputtest.Write(t, outputtest.Format{
				Format: ovf.OVA{}, Appliance: rich(), Options: fmt.Sprintf(`{"hypervisor":%q}`, hypervisor),
			}, "1 MiB")
			out, err := virtV2V(t, m.Dir.Path("hello-jvm.ova"))
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, word := range append(want, "source name: hello-jvm", "nr vCPUs: 2", fmt.Sprintf("memory: %d (bytes)", 252<<20), "firmware: bios") {
				if !strings.Contains(out, word) {
					t.Errorf("%q is not in\n%s", word, out)
				}
			}
		})
	}
}

// TestVirtV2VRefuses damages a disk: the judge does look at the manifest.
func TestVirtV2VRefuses(t *testing.T) {
	m := outputtest.Write(t, outputtest.Format{Format: ovf.OVA{}}, "1 MiB")
	path := m.Dir.Path("hello-jvm.ova")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[bytes.Index(b, []byte("KDMV"))+600]++
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := virtV2V(t, path); err == nil || !strings.Contains(out, "does not match manifest") {
		t.Errorf("%v\n%s", err, out)
	}
}
