package environment

import (
	"bytes"
	"encoding/xml"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	vmware "github.com/vmware/govmomi/ovf"

	"github.com/imgbuild/imgbuild/kernel/init/ovfenv"
)

// judge returns the path of a program, or skips the test.
func judge(t *testing.T, program, debian string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed (Debian package %s)", program, debian)
	} else if err != nil {
		t.Skipf("%s is not installed (Debian package %s)", program, debian)
	}
	return path
}

func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	var complaints bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s%s", name, args, err, out, complaints.String())
	}
	return out
}

// awkward are values that XML and CDs could get wrong.
func awkward() []Property {
	return []Property{
		{"greeting", `<"Grüß & 'Gott'">`},
		{"lines", "one\ntwo\r\n\tthree "},
		{"empty", ""},
		{"password", "]]>${x}%41&amp;\\"},
		{"long", strings.Repeat("0123456789", 500)},
	}
}

// written returns the document with awkward values, and a CD with it.
func written(t *testing.T) (doc []byte, cd string) {
	t.Helper()
	doc, err := Document(awkward())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := WriteCD(&b, doc); err != nil {
		t.Fatal(err)
	}
	cd = filepath.Join(t.TempDir(), "cd.iso")
	if err := os.WriteFile(cd, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return doc, cd
}

// TestGuestReads gives a CD to the reader in the guest.
func TestGuestReads(t *testing.T) {
	doc, cd := written(t)
	image, err := os.ReadFile(cd)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ovfenv.ReadCD(bytes.NewReader(image))
	if err != nil || !bytes.Equal(got, doc) {
		t.Fatalf("the CD holds %q, %v", got, err)
	}
	values, err := ovfenv.Parse(got)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, p := range awkward() {
		want[p.Key] = p.Value
	}
	if !reflect.DeepEqual(values, want) {
		t.Errorf("the guest reads %q, want %q", values, want)
	}
}

// TestSchema judges a document by DSP8027.
func TestSchema(t *testing.T) {
	schema := "../../../../shared/ovf-schema/ovf-environment.xsd"
	if _, err := os.Stat(schema); err != nil {
		t.Skipf("DMTF's schema is not beside the repository: %v", err)
	}
	xmllint := judge(t, "xmllint", "libxml2-utils")
	doc, _ := written(t)
	path := filepath.Join(t.TempDir(), "ovf-env.xml")
	if err := os.WriteFile(path, doc, 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, xmllint, "--noout", "--nonet", "--schema", schema, path)
}

// TestJudges lets other readers of CDs take the document out again.
func TestJudges(t *testing.T) {
	doc, cd := written(t)
	t.Run("isoinfo", func(t *testing.T) {
		isoinfo := judge(t, "isoinfo", "genisoimage")
		if got := run(t, isoinfo, "-i", cd, "-x", "/"+fileName); !bytes.Equal(got, doc) {
			t.Errorf("isoinfo reads %q", got)
		}
	})
	t.Run("xorriso", func(t *testing.T) {
		xorriso := judge(t, "xorriso", "xorriso")
		to := filepath.Join(t.TempDir(), "document")
		run(t, xorriso, "-indev", cd, "-osirrox", "on", "-extract", "/OVF-ENV.XML", to)
		if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, doc) {
			t.Errorf("xorriso reads %q, %v", got, err)
		}
	})
}

// TestVMware reads documents as VMware writes them, and has VMware read ours.
func TestVMware(t *testing.T) {
	theirs := vmware.Env{EsxID: "vm-42", Platform: &vmware.PlatformSection{Kind: "VMware ESXi", Vendor: "VMware, Inc.", Locale: "en"}}
	want := map[string]string{}
	theirs.Property = &vmware.PropertySection{}
	for _, p := range awkward() {
		theirs.Property.Properties = append(theirs.Property.Properties, vmware.EnvProperty{Key: p.Key, Value: p.Value})
		want[p.Key] = p.Value
	}
	text, err := xml.Marshal(theirs)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ovfenv.Parse(text); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("of VMware's document the guest reads %q, %v\n%s", got, err, text)
	}

	doc, _ := written(t)
	var ours vmware.Env
	if err := xml.Unmarshal(doc, &ours); err != nil || ours.Property == nil {
		t.Fatalf("VMware reads %+v, %v", ours, err)
	}
	got := map[string]string{}
	for _, p := range ours.Property.Properties {
		got[p.Key] = p.Value
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("of our document VMware reads %q", got)
	}
}

func TestNotXML(t *testing.T) {
	for _, value := range []string{"\x00", "\x1b[2J", "\xff", "\uffff"} {
		if _, err := Document([]Property{{"key", value}}); err == nil || strings.Contains(err.Error(), value) {
			t.Errorf("the value %q: %v", value, err)
		}
	}
	if _, err := Document([]Property{{"key", strings.Repeat("x", ovfenv.MaxDocument)}}); err == nil {
		t.Error("a document that the guest refuses was written")
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestWriteError(t *testing.T) {
	if err := WriteCD(full{}, nil); err == nil {
		t.Error("a CD was written to a full device")
	}
}
