package xva

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	container "github.com/imgbuild/imgbuild/disk/xva"
	"github.com/imgbuild/imgbuild/output"
)

// foreign is written as XenServer's own tools do: with blanks, types, and empty
// elements.
const foreign = `<?xml version="1.0"?>
<!-- an export -->
<value>
	<struct>
		<member><name>objects</name><value><array><data>
			<value><struct>
				<member><name>class</name><value>VM</value></member>
				<member><name>id</name><value><string>Ref:7</string></value></member>
				<member><name>snapshot</name><value><struct>
					<member><name>VCPUs_max</name><value><int>3</int></value></member>
					<member><name>is_a_template</name><value><boolean>1</boolean></value></member>
					<member><name>PV_bootloader</name><value /></member>
					<member><name>VIFs</name><value><array><data /></array></value></member>
					<member><name>blobs</name><value><struct /></value></member>
				</struct></value></member>
			</struct></value>
		</data></array></value></member>
	</struct>
</value>`

func TestDecode(t *testing.T) {
	o, err := read([]byte(foreign))
	if err != nil {
		t.Fatal(err)
	}
	want := object{"Ref:7", fields{
		"VCPUs_max": "3", "is_a_template": "1", "PV_bootloader": "", "VIFs": []any{}, "blobs": map[string]any{},
	}}
	if diff := cmp.Diff(objects{"VM": {want}}, o, cmp.AllowUnexported(object{})); diff != "" {
		t.Error(diff)
	}
	if m := o.machine(want); m.CPUs != 3 || m.System != "PV" || m.ID != "Ref:7" {
		t.Errorf("%+v", m)
	}
}

func TestRoundTrip(t *testing.T) {
	var b bytes.Buffer
	encode(&b, record{
		{"text", "a <b> & \"c\",\nd — é"}, {"number", int64(1 << 40)}, {"small", -1}, {"yes", true}, {"no", false},
		{"real", real(1)}, {"time", time.Unix(1_000_000_000, 0)}, {"list", list{"x", list{}, record{}}},
	})
	got, err := decode(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"text": "a <b> & \"c\",\nd — é", "number": "1099511627776", "small": "-1", "yes": "1", "no": "0", "real": "1",
		"time": "20010909T01:46:40Z", "list": []any{"x", []any{}, map[string]any{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRefused(t *testing.T) {
	const class = "<value><struct><member><name>objects</name><value><array><data>"
	for text, word := range map[string]string{
		"":                                     "unexpected EOF",
		"<struct/>":                            "no <value>",
		"<value>text</value>":                  "no objects",
		"<value><struct><member/>":             "no <name>",
		"<value><string><b/></string></value>": "not plain text",
		"<value><int>1</int><int>2</int></value>":                                   "more than it should",
		"<?xml version=\"1.0\" encoding=\"latin1\"?><value/>":                       "character set",
		strings.Repeat("<value><array><data>", 40):                                  "within each other",
		class + "<value>x</value></data></array></value></member></struct></value>": "no record",
		class + "</data></array></value></member></struct></value>":                 "describes no machine",
	} {
		if _, err := read([]byte(text)); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%.60q: %v", text, err)
		}
	}
}

// FuzzRead reads descriptions, and describes what they tell.
func FuzzRead(f *testing.F) {
	f.Add([]byte(foreign))
	f.Add(describe(output.Appliance{Name: "hello", CPUs: 2, Memory: 250 << 20}, defaultNetwork, 5<<20))
	f.Fuzz(func(t *testing.T, text []byte) {
		o, err := read(text)
		if err != nil {
			return
		}
		d, sizes, err := o.describe(&container.Archive{})
		if err == nil && (len(sizes) > 0 || len(d.Machines) == 0) {
			t.Errorf("%d disks without an archive, %d machines", len(sizes), len(d.Machines))
		}
	})
}
