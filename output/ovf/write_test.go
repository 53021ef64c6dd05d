package ovf_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/ovf"
)

func TestOVA(t *testing.T) {
	outputtest.Test(t, outputtest.Format{Format: ovf.OVA{}, Files: []string{"hello-jvm.ova"}, Check: checkOVA})
}

func TestOVF(t *testing.T) {
	outputtest.Test(t, outputtest.Format{
		Format: ovf.OVF{}, Files: []string{"hello-jvm-disk1.vmdk", "hello-jvm.mf", "hello-jvm.ovf"},
		Check: func(t *testing.T, m outputtest.Made) { checkFolder(t, m, m.Dir.Path(""), "SHA256") },
	})
}

// TestMachines judges the descriptors of all machines and hashes.
func TestMachines(t *testing.T) {
	for _, hypervisor := range []string{"vmware", "virtualbox", "xenserver", "ovm", "generic"} {
		for _, hash := range []string{"sha1", "sha256", "sha512"} {
			if hash != "sha256" && hypervisor != "vmware" {
				continue // digests do not depend on the machine
			}
			t.Run(hypervisor+" "+hash, func(t *testing.T) {
				m := outputtest.Write(t, outputtest.Format{
					Format: ovf.OVF{}, Options: fmt.Sprintf(`{"hypervisor":%q,"hash":%q}`, hypervisor, hash),
				}, "1 MiB")
				checkFolder(t, m, m.Dir.Path(""), strings.ToUpper(hash))
			})
		}
	}
}

func TestOptions(t *testing.T) {
	for options, word := range map[string]string{
		`{"hypervisor":"bochs"}`:                           "bochs",
		`{"hypervisor":[]}`:                                "empty",
		`{"hypervisor":["ovm","ovm"]}`:                     "twice",
		`{"hypervisor":3}`:                                 "word",
		`{"hypervisor":["ovm","vmware"],"system":"vmx-9"}`: "one hypervisor",
		`{"system":"vmx-13, vmx-14"}`:                      "single blanks",
		`{"hash":"md5"}`:                                   "md5",
		`{"disks":2}`:                                      "disks",
	} {
		for _, f := range []output.Format{ovf.OVA{}, ovf.OVF{}} {
			_, err := f.New(json.RawMessage(options))
			if err == nil || !strings.Contains(err.Error(), word) || fault.KindOf(err) != fault.Recipe {
				t.Errorf("%s %s: %v", f.Name(), options, err)
			}
		}
	}
}

// TestLongName refuses a name that does not fit before anything is read.
func TestLongName(t *testing.T) {
	a := outputtest.Appliance()
	a.Name = strings.Repeat("long", 40)
	w, err := ovf.OVA{}.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := output.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if s, err := w.Begin(t.Context(), a, dir, 1<<20); err == nil {
		s.Abort()
		t.Error("a name of 160 letters passed")
	}
}

// member is a line of GNU tar's listing.
type member struct {
	block int64
	name  string
	size  int64
}

var tarLine = regexp.MustCompile(`^block (\d+): -rw-r--r-- 0/0 +(\d+) 2026-03-01 12:30:15 (\S+)$`)

// listing lets GNU tar list an archive. It must be USTAR of plain files that
// belong to nobody.
func listing(t *testing.T, path string) []member {
	t.Helper()
	tar := disktest.Program(t, "tar", "tar")
	cmd := exec.Command(tar, "--numeric-owner", "--full-time", "-tvRf", path)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var members []member
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if strings.Contains(line, "** Block of NULs **") || strings.Contains(line, "** End of File **") {
			continue
		}
		m := tarLine.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("tar says %q", line)
		}
		var e member
		fmt.Sscan(m[1], &e.block)
		fmt.Sscan(m[2], &e.size)
		e.name = m[3]
		members = append(members, e)
	}
	return members
}

// checkOVA unpacks the archive by tar and reads the disk in its place.
func checkOVA(t *testing.T, m outputtest.Made) {
	path := m.Dir.Path("hello-jvm.ova")
	members := listing(t, path)
	var order []string
	for _, e := range members {
		order = append(order, e.name)
	}
	if diff := cmp.Diff([]string{"hello-jvm.ovf", "hello-jvm.mf", "hello-jvm-disk1.vmdk"}, order); diff != "" {
		t.Fatalf("order:\n%s", diff)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(b[257:265]) != "ustar\x0000" {
		t.Errorf("the magic is %q", b[257:265])
	}
	if len(b)%10240 != 0 || !bytes.Equal(b[len(b)-1024:], make([]byte, 1024)) {
		t.Errorf("the archive of %d bytes does not end as one", len(b))
	}
	dir := t.TempDir()
	disktest.Run(t, "tar", "-C", dir, "-xf", path)
	checkFolder(t, m, dir, "SHA256")

	// The block that tar tells of is the header's.
	vmdk := members[2]
	outputtest.Compare(t, m, "vmdk", fmt.Sprintf(
		`json:{"driver":"vmdk","file":{"driver":"raw","offset":%d,"size":%d,"file":{"driver":"file","filename":%q}}}`,
		(vmdk.block+1)*512, vmdk.size, path))
	nbdkit := disktest.Program(t, "nbdkit", "nbdkit")
	disktest.Run(t, nbdkit, "-r", "-U", "-", "file", path, "--filter=tar", "tar-entry="+vmdk.name, "--run",
		`qemu-img compare -f raw -F vmdk `+outputtest.Raw(t, m.Disk)+` "$uri"`)
}

// checkFolder judges the loose files of a package.
func checkFolder(t *testing.T, m outputtest.Made, dir, hash string) {
	t.Helper()
	checkSchema(t, filepath.Join(dir, "hello-jvm.ovf"))
	checkManifest(t, dir, hash)
	vmdk := filepath.Join(dir, "hello-jvm-disk1.vmdk")
	disktest.Run(t, disktest.Program(t, "qemu-img", "qemu-utils"), "check", "-f", "vmdk", vmdk)
	outputtest.Compare(t, m, "vmdk", vmdk)
	info, err := os.Stat(vmdk)
	if err != nil {
		t.Fatal(err)
	}
	xml := func(what string) string { return xpath(t, filepath.Join(dir, "hello-jvm.ovf"), what) }
	for what, want := range map[string]string{
		attribute("File", "href"):                                          "hello-jvm-disk1.vmdk",
		attribute("File", "size"):                                          fmt.Sprint(info.Size()),
		attribute("Disk", "capacity"):                                      fmt.Sprint(m.Disk.Size()),
		attribute("Disk", "format"):                                        "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized",
		`string(//*[local-name()="VirtualSystem"]/*[local-name()="Name"])`: "hello-jvm",
		`string(//*[local-name()="Item"][*[local-name()="ResourceType"]=4]/*[local-name()="VirtualQuantity"])`: "252",
		`string(//*[local-name()="Item"][*[local-name()="ResourceType"]=3]/*[local-name()="VirtualQuantity"])`: "2",
		`string(//*[local-name()="Annotation"])`: m.Appliance.Description + "\nTCP ports: 8080, 8443",
		`string(//*[local-name()="Vendor"])`:     m.Appliance.Vendor,
	} {
		if got := xml(what); got != want {
			t.Errorf("%s is %q, want %q", what, got, want)
		}
	}
}

func attribute(element, name string) string {
	return fmt.Sprintf(`string(//*[local-name()=%q]/@*[local-name()=%q])`, element, name)
}

func xpath(t *testing.T, path, expression string) string {
	t.Helper()
	xmllint := disktest.Program(t, "xmllint", "libxml2-utils")
	return strings.TrimSuffix(disktest.Run(t, xmllint, "--nonet", "--xpath", expression, path), "\n")
}

// checkSchema validates a descriptor by the DMTF's own schema, where it is at
// hand.
func checkSchema(t *testing.T, path string) {
	t.Helper()
	xmllint := disktest.Program(t, "xmllint", "libxml2-utils")
	schema := "../../../shared/ovf-schema/ovf-envelope.xsd"
	if _, err := os.Stat(schema); err != nil {
		t.Log("the OVF schema is not at hand: only the XML is checked")
		disktest.Run(t, xmllint, "--noout", "--nonet", path)
		return
	}
	disktest.Run(t, xmllint, "--noout", "--nonet", "--schema", schema, path)
}

// checkManifest lets coreutils verify the manifest, of which they read the
// lines in a form of their own.
func checkManifest(t *testing.T, dir, hash string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "hello-jvm.mf"))
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`^` + hash + `\(([^)]+)\)= ([0-9a-f]+)\n$`)
	var files []string
	var sums strings.Builder
	for l := range strings.Lines(string(text)) {
		m := line.FindStringSubmatch(l)
		if m == nil {
			t.Fatalf("a line of the manifest is %q", l)
		}
		files = append(files, m[1])
		fmt.Fprintf(&sums, "%s  %s\n", m[2], m[1])
	}
	if diff := cmp.Diff([]string{"hello-jvm.ovf", "hello-jvm-disk1.vmdk"}, files); diff != "" {
		t.Errorf("the manifest:\n%s", diff)
	}
	cmd := exec.Command(disktest.Program(t, strings.ToLower(hash)+"sum", "coreutils"), "--check", "--strict")
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(sums.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
