package lint_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/ovf"
	"github.com/imgbuild/imgbuild/output/ovf/lint"
)

// made writes a package of loose files that asks for properties and has two
// sizes, and returns its folder.
func made(t *testing.T, options string) string {
	t.Helper()
	a := outputtest.Appliance()
	a.About = output.About{
		Properties: []output.Property{{Key: "workers", Type: "uint8", Value: "4"}},
		Configurations: []output.Configuration{
			{ID: "small", Label: "Small", Description: "Small"}, {ID: "large", Label: "Large", Description: "Large", CPUs: 8},
		},
	}
	m := outputtest.Write(t, outputtest.Format{Format: ovf.OVF{}, Appliance: a, Options: options}, "1 MiB")
	return m.Dir.Path("")
}

// sealed writes the manifest of a folder anew.
func sealed(t *testing.T, dir string) {
	t.Helper()
	var b strings.Builder
	for _, name := range []string{"hello-jvm.ovf", "hello-jvm-disk1.vmdk"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "SHA256(%s)= %x\n", name, sha256.Sum256(data))
	}
	if err := os.WriteFile(filepath.Join(dir, "hello-jvm.mf"), []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func edit(t *testing.T, path string, change func(string) string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := change(string(text))
	if changed == string(text) {
		t.Fatalf("%s was not changed", path)
	}
	if err := os.WriteFile(path, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
}

// rules are the rules that a package breaks, each once.
func rules(t *testing.T, path string, o lint.Options) []string {
	t.Helper()
	r, err := lint.Run(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	list := []string{}
	for _, f := range r.Findings {
		list = append(list, f.Rule)
		if f.Remedy == "" || f.Text == "" || f.File == "" {
			t.Errorf("%+v", f)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func all(old, with string) func(string) string {
	return func(s string) string { return strings.ReplaceAll(s, old, with) }
}

func first(old, with string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, with, 1) }
}

func pattern(expression, with string) func(string) string {
	return func(s string) string { return regexp.MustCompile(expression).ReplaceAllString(s, with) }
}

// TestOwn holds what imgbuild writes to its own rules.
func TestOwn(t *testing.T) {
	for _, options := range []string{
		`{}`, `{"hypervisor":"virtualbox"}`, `{"hypervisor":"xenserver"}`, `{"hypervisor":"ovm"}`, `{"hypervisor":"generic"}`,
		`{"hypervisor":["xenserver","ovm"]}`, `{"system":"vmx-11 vmx-19"}`, `{"system":"none"}`,
	} {
		if got := rules(t, filepath.Join(made(t, options), "hello-jvm.ovf"), lint.Options{}); len(got) > 0 {
			t.Errorf("%s: %q", options, got)
		}
	}
	m := outputtest.Write(t, outputtest.Format{Format: ovf.OVA{}}, "partial grain")
	if got := rules(t, m.Dir.Path("hello-jvm.ova"), lint.Options{}); len(got) > 0 {
		t.Errorf("ova: %q", got)
	}
}

const cpuItem = `<rasd:AllocationUnits>hertz * 10^6</rasd:AllocationUnits>`

// TestDescriptor breaks one rule at a time, in the way of the report behind it.
func TestDescriptor(t *testing.T) {
	for _, c := range []struct {
		rules   string
		options string
		change  func(string) string
	}{
		{"ovf-version prefixed-element", "", func(s string) string {
			s = all(`xmlns="http://schemas.dmtf.org/ovf/envelope/1"`, `xmlns="urn:x"`)(s)
			return all("Envelope", "ovf:Envelope")(all(`xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"`, `xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/2"`)(s))
		}},
		{"prefixed-element", "", all("Envelope", "ovf:Envelope")},
		{"bare-attribute", "", first(`ovf:userConfigurable=`, `userConfigurable=`)},
		{"info-missing", "", first("<Info>The disks of the appliance</Info>", "")},
		{"section-order", "", func(s string) string {
			section := regexp.MustCompile(`(?s)<NetworkSection>.*</NetworkSection>`).FindString(s)
			return strings.Replace(strings.Replace(s, section, "", 1), "</VirtualSystem>", "</VirtualSystem>"+section, 1)
		}},
		{"references-missing dangling-file", "", pattern(`(?s)<References>.*</References>`, "")},
		{"file-missing", "", first(`ovf:href="hello-jvm-disk1.vmdk"`, `ovf:href="other.vmdk"`)},
		{"file-size", "", pattern(`ovf:size="\d+"`, `ovf:size="69632"`)},
		{"file-size", "", pattern(`ovf:size="\d+"`, "")},
		{"file-compressed", "", first(`ovf:id="file1"`, `ovf:id="file1" ovf:compression="gzip"`)},
		{"file-chunked", "", first(`ovf:id="file1"`, `ovf:id="file1" ovf:chunkSize="2147483648"`)},
		{"dangling-file", "", first(`ovf:fileRef="file1"`, `ovf:fileRef="file2"`)},
		{"dangling-disk unused-disk", "", first("ovf:/disk/vmdisk1", "ovf:/disk/nope")},
		{"dangling-file", "", first("<rasd:InstanceID>6</rasd:InstanceID>", "<rasd:HostResource>ovf:/file/tools</rasd:HostResource><rasd:InstanceID>6</rasd:InstanceID>")},
		{"id-twice", "", pattern(`(<File [^>]*/>|(?s)<File .*</File>)`, "$1$1")},
		{"id-twice", "", pattern(`(?s)(<Disk .*</Disk>)`, "$1$1")},
		{"disk-parent", "", first(`ovf:fileRef="file1"`, `ovf:fileRef="file1" ovf:parentRef="base"`)},
		{"host-resource", "", first("ovf:/disk/vmdisk1", "/disk/vmdisk1")},
		{"capacity-unit", "", first(` ovf:capacityAllocationUnits="byte"`, "")},
		{"capacity", "", first(`ovf:capacityAllocationUnits="byte"`, `ovf:capacityAllocationUnits="byte * 2^30"`)},
		{"capacity", "", pattern(`ovf:capacity="\d+"`, `ovf:capacity="4096"`)},
		{"disk-format", "", first("vmdk.html#streamOptimized", "vmdk.html#")},
		{"disk-format", "", first("http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized", "http://www.gnome.org/~markmc/qcow-image-format.html")},
		{"strings-order", "", func(s string) string {
			return first("</Envelope>", `<Strings xml:lang="de" ovf:fileRef="de"/></Envelope>`)(
				first("</References>", `<File ovf:href="hello-jvm.mf" ovf:id="de" ovf:size="179"/></References>`)(s))
		}},
		{"hardware-missing unused-disk", "", pattern(`(?s)<VirtualHardwareSection.*</VirtualHardwareSection>`, "")},
		{"hardware-families", `{"hypervisor":["vmware","xenserver"]}`, all("large", "huge")},
		{"system-new", "", all("vmx-14", "vmx-20")},
		{"system-old", "", all("vmx-14", "vmx-10")},
		{"instance-id", "", first("<rasd:InstanceID>4</rasd:InstanceID>", "<rasd:InstanceID>3</rasd:InstanceID>")},
		{"instance-id", "", all("<rasd:InstanceID>4</rasd:InstanceID>", "")},
		{"instance-id", "", all("<rasd:InstanceID>4</rasd:InstanceID>", "<rasd:InstanceId>4</rasd:InstanceId>")},
		{"item-order", "", func(s string) string {
			return first(cpuItem, "")(first("<rasd:ResourceType>3</rasd:ResourceType>", "<rasd:ResourceType>3</rasd:ResourceType>"+cpuItem)(s))
		}},
		{"item-parent", "", first("<rasd:Parent>3</rasd:Parent>", "<rasd:Parent>33</rasd:Parent>")},
		{"unknown-option", "", first(`ovf:configuration="large"`, `ovf:configuration="huge"`)},
		{"option-order", "", func(s string) string {
			items := regexp.MustCompile(`(?s)<Item.*?</Item>\s*`).FindAllString(s, -1)
			return strings.Replace(strings.Replace(s, items[0], "", 1), items[2], items[2]+items[0], 1)
		}},
		{"network-missing", "", first(`<Network ovf:name="VM Network"`, `<Network ovf:name="Other"`)},
		{"required-config", "", all(`ovf:required="false" vmw:key`, `vmw:key`)},
		{"required-config", "", first(`<vmw:Config`, `<vmw:ExtraConfig ovf:required="true" vmw:key="serial0.yieldOnMsrRead" vmw:value="true"></vmw:ExtraConfig><vmw:Config`)},
		{"startup-section", "", first("<OperatingSystemSection", `<StartupSection><Info>x</Info></StartupSection><OperatingSystemSection`)},
		{"piix4", "", first("<rasd:ResourceType>5</rasd:ResourceType>", "<rasd:ResourceSubType>PIIX4</rasd:ResourceSubType><rasd:ResourceType>5</rasd:ResourceType>")},
		{"xen-limits", `{"hypervisor":"xenserver"}`, pattern(`<rasd:Limit>100000</rasd:Limit>`, "")},
		{"virtualbox-devices", `{"hypervisor":"virtualbox"}`, first("E1000", "VmxNet3")},
		{"property-key", "", first(`ovf:key="workers"`, `ovf:key="app.workers"`)},
		{"property-type", "", first(`ovf:value="4"`, `ovf:value="256"`)},
		{"property-type", "", first(`ovf:type="uint8"`, `ovf:type="number"`)},
		{"property-twice", "", pattern(`(?s)(<Property .*</Property>)`, "$1$1")},
		{"property-fixed", "", first(`ovf:userConfigurable="true" ovf:value="4"`, "")},
		{"property-fixed", "", first(`ovf:userConfigurable="true" ovf:value="4"`, `ovf:userConfigurable="false" ovf:value=""`)},
		{"property-password", "", first(`ovf:value="4"`, `ovf:value="4" ovf:password="true"`)},
		{"unit-old", "", func(s string) string {
			return pattern(`ovf:capacity="\d+"`, `ovf:capacity="1"`)(first(`ovf:capacityAllocationUnits="byte"`, `ovf:capacityAllocationUnits="MegaBytes"`)(s))
		}},
		{"unit-old", "", first("byte * 2^20", "MegaBytes")},
		{"memory-step", "", pattern(`<rasd:VirtualQuantity>252<`, "<rasd:VirtualQuantity>254<")},
		{"property-transport", "", first(` ovf:transport="iso"`, "")},
		{"iso-without-cd", "", first("<rasd:ResourceType>15</rasd:ResourceType>", "<rasd:ResourceType>14</rasd:ResourceType>")},
	} {
		t.Run(c.rules, func(t *testing.T) {
			dir := made(t, c.options)
			path := filepath.Join(dir, "hello-jvm.ovf")
			edit(t, path, c.change)
			sealed(t, dir)
			want := strings.Fields(c.rules)
			slices.Sort(want)
			got := rules(t, path, lint.Options{})
			if c.rules == "file-missing" { // so that the disk stays listed
				got = slices.DeleteFunc(got, func(r string) bool { return r == "manifest-digest" })
			}
			if c.rules == "strings-order" { // a manifest cannot list itself
				got = slices.DeleteFunc(got, func(r string) bool { return r == "manifest-digest" || r == "file-size" })
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestFor asks of other importers than the machine types name.
func TestFor(t *testing.T) {
	path := filepath.Join(made(t, `{"hypervisor":"virtualbox"}`), "hello-jvm.ovf")
	for importer, want := range map[string][]string{
		lint.VMware: {"system-type"}, lint.VirtualBox: {}, lint.Xen: {"system-type", "xen-limits"}, lint.Generic: {},
	} {
		if diff := cmp.Diff(want, rules(t, path, lint.Options{For: []string{importer}})); diff != "" {
			t.Errorf("%s: %s", importer, diff)
		}
	}
	if _, err := lint.Run(t.Context(), path, lint.Options{For: []string{"bochs"}}); fault.KindOf(err) != fault.Usage {
		t.Errorf("for bochs: %v", err)
	}
}

// TestOthers reads what QEMU writes in place of the disk.
func TestOthers(t *testing.T) {
	qemu := disktest.Program(t, "qemu-img", "qemu-utils")
	for options, want := range map[string][]string{
		"subformat=streamOptimized":  {"vmdk-trailing"},
		"subformat=monolithicSparse": {"vmdk-type"},
	} {
		dir := made(t, "")
		disk := filepath.Join(dir, "hello-jvm-disk1.vmdk")
		disktest.Run(t, qemu, "convert", "-f", "vmdk", "-O", "vmdk", "-o", options, disk, disk+".new")
		if err := os.Rename(disk+".new", disk); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(disk)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "hello-jvm.ovf")
		edit(t, path, pattern(`ovf:size="\d+"`, fmt.Sprintf(`ovf:size="%d"`, info.Size())))
		sealed(t, dir)
		if diff := cmp.Diff(want, rules(t, path, lint.Options{})); diff != "" {
			t.Errorf("%s: %s", options, diff)
		}
	}
}

// TestDamagedDisk changes bytes of the VMDK.
func TestDamagedDisk(t *testing.T) {
	for name, c := range map[string]struct {
		change func([]byte) []byte
		want   []string
	}{
		"version 1": {func(b []byte) []byte { // in the header and in its copy, the footer
			b[4] = 1
			b[len(b)-1024+4] = 1
			return b
		}, []string{"vmdk-version"}},
		"cut":      {func(b []byte) []byte { return b[:len(b)-512] }, []string{"disk-unreadable", "file-size", "vmdk-damaged"}},
		"trailing": {func(b []byte) []byte { return append(b, make([]byte, 64512)...) }, []string{"disk-unreadable", "file-size", "vmdk-trailing"}},
		"vmfs": {func(b []byte) []byte {
			return bytes.Replace(b, []byte(`createType="streamOptimized"`), []byte(`createType="vmfs"           `), 1)
		}, []string{"vmdk-descriptor"}},
		"no type": {func(b []byte) []byte { return bytes.Replace(b, []byte(`createType=`), []byte(`createKind=`), 1) }, []string{"vmdk-descriptor"}},
		"no text": {func(b []byte) []byte { clear(b[28:44]); clear(b[len(b)-1024+28:][:16]); return b }, []string{"disk-unreadable", "vmdk-descriptor"}},
		"tools": {func(b []byte) []byte {
			return bytes.Replace(b, []byte("ddb.toolsVersion"), []byte("ddb.truckVersion"), 1)
		}, []string{"vmdk-tools"}},
		"no disk": {func(b []byte) []byte { return bytes.Repeat([]byte("x"), 1<<20) }, []string{"disk-format", "file-size"}},
	} {
		dir := made(t, "")
		edit(t, filepath.Join(dir, "hello-jvm-disk1.vmdk"), func(s string) string { return string(c.change([]byte(s))) })
		sealed(t, dir)
		if diff := cmp.Diff(c.want, rules(t, filepath.Join(dir, "hello-jvm.ovf"), lint.Options{})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestManifest(t *testing.T) {
	for name, c := range map[string]struct {
		change func(string) string
		want   []string
	}{
		"blank":     {all("SHA256(", "SHA256 ("), []string{"manifest-syntax"}},
		"OpenSSL 3": {all("SHA256(", "SHA2-256("), []string{"manifest-syntax"}},
		"capitals":  {pattern(`= [0-9a-f]{64}`, "= "+strings.Repeat("AB", 32)), []string{"manifest-digest", "manifest-syntax"}},
		"wrong":     {pattern(`= [0-9a-f]{64}`, "= "+strings.Repeat("ab", 32)), []string{"manifest-digest"}},
		"unlisted":  {pattern(`.*vmdk.*\n`, ""), []string{"manifest-digest"}},
	} {
		dir := made(t, "")
		edit(t, filepath.Join(dir, "hello-jvm.mf"), c.change)
		if diff := cmp.Diff(c.want, rules(t, filepath.Join(dir, "hello-jvm.ovf"), lint.Options{})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	dir := made(t, `{"hash":"sha1"}`)
	path := filepath.Join(dir, "hello-jvm.ovf")
	if diff := cmp.Diff([]string{"manifest-sha1"}, rules(t, path, lint.Options{})); diff != "" {
		t.Error(diff)
	}
	if err := os.WriteFile(filepath.Join(dir, "hello-jvm.cert"), []byte("SHA1(hello-jvm.mf)= 00\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"manifest-sha1", "signature"}, rules(t, path, lint.Options{})); diff != "" {
		t.Error(diff)
	}
	if err := os.Remove(filepath.Join(dir, "hello-jvm.mf")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"manifest-missing"}, rules(t, path, lint.Options{})); diff != "" {
		t.Error(diff)
	}
}

// TestRules looks at the rules themselves.
func TestRules(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range lint.Rules() {
		if seen[r.ID] || r.Why == "" || r.Remedy == "" || r.Severity != lint.Error && r.Severity != lint.Warning {
			t.Errorf("%+v", r)
		}
		seen[r.ID] = true
	}
}
