package ovf_test

import (
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/ovf"
)

// TestOracleVM holds the package for Oracle VM to what its manager imports as a
// virtual appliance (Oracle VM Manager User's Guide 3.4, "Virtual Appliances"):
// one .ova of OVF 1.x with disks in VMDK, and a machine of Xen's own kind whose
// devices are those that it emulates for a guest with drivers of its own.
func TestOracleVM(t *testing.T) {
	m := outputtest.Write(t, outputtest.Format{Format: ovf.OVA{}, Options: `{"hypervisor":"ovm"}`}, "1 MiB")
	checkOVA(t, m)
	dir := t.TempDir()
	disktest.Run(t, "tar", "-C", dir, "-xf", m.Dir.Path("hello-jvm.ova"))
	const items = `//*[local-name()="Item"][*[local-name()="ResourceType"]=`
	for what, want := range map[string]string{
		`namespace-uri(/*)`:                                                            "http://schemas.dmtf.org/ovf/envelope/1",
		`string(//*[local-name()="VirtualSystemType"])`:                                "hvm-3.0-unknown",
		`count(//*[local-name()="VirtualSystem"])`:                                     "1",
		`count(` + items + `5])`:                                                       "1", // IDE
		`count(` + items + `6])`:                                                       "0", // SCSI
		`count(` + items + `17])`:                                                      "1", // the disk
		`count(` + items + `10])`:                                                      "1", // the network card, of no model
		`count(` + items + `10]/*[local-name()="ResourceSubType"])`:                    "0",
		`string(` + items + `17]/*[local-name()="Parent"])`:                            xpath(t, filepath.Join(dir, "hello-jvm.ovf"), `string(`+items+`5]/*[local-name()="InstanceID"])`),
		`count(//*[namespace-uri()="http://www.vmware.com/schema/ovf"])`:               "0",
		`count(//*[local-name()="Item"]/@*[local-name()="required"][.="false"])`:       "0",
		`count(//*[namespace-uri()="http://www.virtualbox.org/ovf/machine"])`:          "0",
		`count(` + items + `3]/*[local-name()="Limit" or local-name()="Reservation"])`: "2",
	} {
		if got := xpath(t, filepath.Join(dir, "hello-jvm.ovf"), what); got != want {
			t.Errorf("%s is %q, want %q", what, got, want)
		}
	}
}
