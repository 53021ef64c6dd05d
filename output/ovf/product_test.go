package ovf_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/output"
	"github.com/imgbuild/imgbuild/output/outputtest"
	"github.com/imgbuild/imgbuild/output/ovf"
)

// rich is an appliance that tells and asks all there is.
func rich() output.Appliance {
	a := outputtest.Appliance()
	a.About = output.About{
		Product: "Hello & co.", ProductURL: "http://example.org/?a=1&b=2", VendorURL: "http://example.org/",
		AppURL: "http://${app.ip}:8080/", Annotation: "Greets.\nTwice.",
		Licenses: []string{"You may <use> it & nothing else.\n\n]]>", "Second"},
		Networks: []output.NamedNetwork{{Name: "front", Description: "Where users are"}, {Name: "back", Description: "Where data is"}},
		Properties: []output.Property{
			{Key: "greeting", Type: "string", Value: `"Hi" & <bye>`, Label: "Greeting", Description: "What it says",
				Category: "Texts", Qualifiers: `MinLen(1) MaxLen(63)`},
			{Key: "colour", Type: "string", Value: "red", Category: "Texts", Qualifiers: `ValueMap{"red","green"}`},
			{Key: "secret", Type: "string", Category: "Access", Label: "Password", Password: true},
			{Key: "workers", Type: "uint8", Value: "4", Fixed: true},
		},
		Configurations: []output.Configuration{
			{ID: "small", Label: "Small", Description: "For a few"},
			{ID: "large", Label: "Large", Description: "For many", CPUs: 8, Memory: 4 << 30},
		},
		Translations: []output.Translation{{
			Language: "de-DE", Licenses: []string{"Nur <benutzen>.", "Zweite"},
			Texts: map[string]string{"properties.greeting.label": "Gruß", "annotation": "Grüßt.", "categories.Texts": "Texte",
				"configurations.large.label": "Groß", "networks.front.description": "Vorne", "product": "Hallo & Co."},
		}},
	}
	return a
}

// nth is an attribute of the nth element of a name.
func nth(element string, n int, name string) string {
	return fmt.Sprintf(`string((//*[local-name()=%q])[%d]/@*[local-name()=%q])`, element, n, name)
}

// TestRich judges a descriptor with every section by the schema, and reads it
// back.
func TestRich(t *testing.T) {
	m := outputtest.Write(t, outputtest.Format{Format: ovf.OVF{}, Appliance: rich(), Options: `{"system":"vmx-11 vmx-14"}`}, "1 MiB")
	path := filepath.Join(m.Dir.Path(""), "hello-jvm.ovf")
	checkSchema(t, path)
	for what, want := range map[string]string{
		nth("Property", 1, "value"):                                                                    `"Hi" & <bye>`,
		attribute("VirtualHardwareSection", "transport"):                                               "iso",
		nth("Property", 3, "password"):                                                                 "true",
		`string((//*[local-name()="License"])[1])`:                                                     "You may <use> it & nothing else.\n\n]]>",
		`string(//*[local-name()="Msg"][@*="categories.Texts"])`:                                       "Texte",
		`count(//*[local-name()="Category"])`:                                                          "3",
		`string(//*[local-name()="Label"][@*="properties.greeting.label"])`:                            "Greeting",
		`count(//*[local-name()="Item"][*[local-name()="InstanceID"]=1])`:                              "2",
		`string(//*[local-name()="Item"][@*="large"]/*[local-name()="VirtualQuantity"])`:               "8",
		`string(//*[local-name()="Item"][*[local-name()="ResourceType"]=15]/*[local-name()="Parent"])`: "5",
		`string(//*[local-name()="AppUrl"])`:                                                           "http://${app.ip}:8080/",
	} {
		if got := xpath(t, path, what); got != want {
			t.Errorf("%s is %q, want %q", what, got, want)
		}
	}
	p := open(t, path)
	got := p.Machines[0]
	if diff := cmp.Diff([]ovf.Option{{ID: "small", Label: "Small", Default: true}, {ID: "large", Label: "Large"}}, p.Options); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]ovf.Property{
		{Key: "greeting", Type: "string", Qualifiers: "MinLen(1) MaxLen(63)", Value: `"Hi" & <bye>`, Label: "Greeting", Description: "What it says", Settable: true},
		{Key: "colour", Type: "string", Qualifiers: `ValueMap{"red","green"}`, Value: "red", Settable: true},
		{Key: "secret", Type: "string", Label: "Password", Settable: true, Password: true},
		{Key: "workers", Type: "uint8", Value: "4"},
	}, got.Properties); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"front", "back"}, p.Networks); diff != "" || len(got.Adapters) != 2 || got.Adapters[1].Network != "back" {
		t.Errorf("%s, %+v", diff, got.Adapters)
	}
	if got.System != "vmx-11 vmx-14" || got.Licenses != 2 || got.CPUs != 2 || got.Product != "Hello & co." ||
		strings.Join(got.Transports, "") != "iso" || strings.Join(p.Languages, "") != "de-DE" || len(p.Notes) > 0 {
		t.Errorf("%+v, %q", got, p.Notes)
	}
}

// TestFamilies writes two sets of hardware over one disk.
func TestFamilies(t *testing.T) {
	m := outputtest.Write(t, outputtest.Format{Format: ovf.OVF{}, Appliance: rich(), Options: `{"hypervisor":["xenserver","vmware"]}`}, "1 MiB")
	path := m.Dir.Path("hello-jvm.ovf")
	checkSchema(t, path)
	p := open(t, path)
	if diff := cmp.Diff([]string{"hvm-3.0-unknown", "vmx-14"}, p.Machines[0].Systems); diff != "" {
		t.Error(diff)
	}
	for _, kind := range []int{3, 4} {
		const of = `string((//*[local-name()="Item"][*[local-name()="ResourceType"]=%d])[1]/*[local-name()="Limit"])`
		if got := xpath(t, path, fmt.Sprintf(of, kind)); got == "" {
			t.Errorf("resource type %d has no limit", kind)
		}
	}
}
