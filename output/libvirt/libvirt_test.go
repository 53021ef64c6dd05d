package libvirt_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output/libvirt"
	"github.com/imgbuild/imgbuild/output/outputtest"
)

var files = []string{"hello-jvm-libvirt.qcow2", "hello-jvm-libvirt.xml"}

func TestFormat(t *testing.T) {
	outputtest.Test(t, outputtest.Format{Format: libvirt.Format{}, Files: files, Check: check})
}

// check lets qemu-img judge the disk, and libvirt's schema the domain.
func check(t *testing.T, m outputtest.Made) {
	path := m.Dir.Path(files[0])
	disktest.Run(t, disktest.Program(t, "qemu-img", "qemu-utils"), "check", "-f", "qcow2", path)
	outputtest.Compare(t, m, "qcow2", path)
	validate := disktest.Program(t, "virt-xml-validate", "libvirt-clients")
	disktest.Program(t, "xmllint", "libxml2-utils")
	disktest.Run(t, validate, m.Dir.Path(files[1]), "domain")
}

// TestDomain holds single facts to what they come from.
func TestDomain(t *testing.T) {
	for firmware, attribute := range map[string]string{"any": "<os>", "bios": "<os>", "uefi": `<os firmware="efi">`} {
		a := outputtest.Appliance()
		a.Firmware, a.Memory = firmware, 250<<20+1
		m := outputtest.Write(t, outputtest.Format{Format: libvirt.Format{}, Appliance: a, Options: `{"images":"/srv/vm"}`}, "1 MiB")
		check(t, m)
		text, err := os.ReadFile(m.Dir.Path(files[1]))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			attribute, `<memory unit="KiB">256001</memory>`, "<vcpu>2</vcpu>", `<source file="/srv/vm/hello-jvm-libvirt.qcow2"`,
			"&lt;tags&gt;",
		} {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s: %s is missing in\n%s", firmware, want, text)
			}
		}
	}
}

// TestSeveralDisks describes a machine with two.
func TestSeveralDisks(t *testing.T) {
	a := outputtest.Appliance()
	second := disk.NewMemory(1 << 20)
	if _, err := second.WriteAt([]byte("second"), 5000); err != nil {
		t.Fatal(err)
	}
	a.Disks = []disk.Reader{second}
	all := append([]string{"hello-jvm-libvirt-disk2.qcow2"}, files...)
	outputtest.Test(t, outputtest.Format{Format: libvirt.Format{}, Appliance: a, Files: all, Check: check})
	m := outputtest.Write(t, outputtest.Format{Format: libvirt.Format{}, Appliance: a}, "1 MiB")
	check(t, m)
	path := m.Dir.Path(all[0])
	disktest.Run(t, disktest.Program(t, "qemu-img", "qemu-utils"), "compare", "-f", "raw", "-F", "qcow2", disktest.RawFile(t, second), path)
	text, err := os.ReadFile(m.Dir.Path(files[1]))
	if err != nil || !strings.Contains(string(text), `<source file="/var/lib/libvirt/images/hello-jvm-libvirt-disk2.qcow2"></source>`) || !strings.Contains(string(text), `dev="vdb"`) {
		t.Errorf("%v:\n%s", err, text)
	}
}

func TestOptions(t *testing.T) {
	for _, options := range []string{`{"images":"images"}`, `{"images":""}`, `{"images":7}`} {
		if _, err := (libvirt.Format{}).New(json.RawMessage(options)); fault.KindOf(err) != fault.Recipe {
			t.Errorf("%s: %v", options, err)
		}
	}
}
