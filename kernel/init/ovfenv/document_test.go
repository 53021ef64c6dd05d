package ovfenv

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// example is in the form that DSP0243 1.1 shows in section 11.1, with what a
// hypervisor adds of its own, and with the properties of a sibling.
const example = `<?xml version="1.0" encoding="UTF-8"?>
<Environment xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns="http://schemas.dmtf.org/ovf/environment/1"
    xmlns:oe="http://schemas.dmtf.org/ovf/environment/1" xmlns:ve="http://www.vmware.com/schema/ovfenv" oe:id="" ve:vCenterId="vm-42">
  <PlatformSection><Kind>VMware ESXi</Kind><Version>8.0.3</Version><Vendor>VMware, Inc.</Vendor><Locale>en</Locale></PlatformSection>
  <!-- a comment -->
  <PropertySection>
    <Property oe:key="greeting" oe:value="Gr&#252;&#xDF; &amp; &lt;Gott&gt; &quot;x&quot; '"/>
    <Property oe:key="greeting" oe:value="the second"/>
    <Property oe:key="secret" oe:value="s3cret"></Property>
    <Property oe:key="empty" oe:value=""/>
    <Property key="bare" value="1"/>
    <Property ve:key="other" oe:key="valueless"/>
    <ve:Property oe:key="not ours" oe:value="x"/>
    <Group><Property oe:key="deeper" oe:value="x"/></Group>
  </PropertySection>
  <ve:EthernetAdapterSection><ve:Adapter ve:mac="00:50:56:00:00:01" ve:network="VM Network" ve:unitNumber="7"/></ve:EthernetAdapterSection>
  <Entity oe:id="sibling"><PropertySection><Property oe:key="sibling" oe:value="x"/></PropertySection></Entity>
  <PropertySection><Property oe:key="later" oe:value="y"/></PropertySection>
</Environment>
`

func TestParse(t *testing.T) {
	got, err := Parse([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"greeting": `Grüß & <Gott> "x" '`, "secret": "s3cret", "empty": "", "bare": "1", "valueless": "", "later": "y",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
}

// TestParseBad also looks that no error tells of a value.
func TestParseBad(t *testing.T) {
	const open = `<Environment xmlns="` + Namespace + `"><PropertySection>`
	property := func(key, value string) string { return `<Property key="` + key + `" value="` + value + `"/>` }
	var many strings.Builder
	for i := range maxProperties + 1 {
		many.WriteString(property(fmt.Sprint(i), "s3cret"))
	}
	const end = `</PropertySection></Environment>`
	for name, c := range map[string]struct{ doc, want string }{
		"empty":           {"", "none of OVF 1"},
		"other namespace": {`<Environment xmlns="http://schemas.dmtf.org/ovf/environment/2"/>`, "none of OVF 1"},
		"other root":      {`<Envelope xmlns="` + Namespace + `"/>`, "none of OVF 1"},
		"cut":             {example[:len(example)-200], "is not XML"},
		"unknown entity":  {open + property("x", "&s3cret;") + end, "line 1 is not XML"},
		"own entity":      {`<!DOCTYPE x [<!ENTITY s3cret "x">]>` + open + property("x", "&s3cret;") + end, "line 1 is not XML"},
		"other charset":   {`<?xml version="1.0" encoding="s3cret"?>` + open + end, "line 1 is not XML"},
		"no UTF-8":        {open + property("s3cret", "\xff") + end, "line 1 is not XML"},
		"zero":            {open + property("s3cret", "&#0;") + end, "line 1 is not XML"},
		"deep":            {strings.Repeat(`<Environment xmlns="`+Namespace+`">`, 100), "nested"},
		"many properties": {open + many.String() + end, "more than 1000 properties"},
		"large value":     {open + property("x", strings.Repeat("s3cret", maxValue)) + end, "more than 65536 bytes"},
	} {
		got, err := Parse([]byte(c.doc))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: read %d properties, %v", name, len(got), err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte(`<a:Environment xmlns:a="` + Namespace + `"><![CDATA[x]]></a:Environment>`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		values, err := Parse(doc)
		if err != nil && len(values) > 0 {
			t.Error("values beside an error")
		}
		for key, value := range values {
			if len(key) > maxValue || len(value) > maxValue {
				t.Error("a value beyond its bound")
			}
		}
	})
}
