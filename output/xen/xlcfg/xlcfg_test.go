package xlcfg_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/output/xen/xlcfg"
)

func TestRoundTrip(t *testing.T) {
	texts := []string{"", "plain", `a "b" \ 'c'`, "two\nlines\tand — ü", "\x00\x7f\xff", "# no comment"}
	var w xlcfg.Writer
	w.Comment("for people\nto read")
	w.Int("memory", 256)
	for _, s := range texts {
		w.String("text", s)
		w.List("list", texts...)
		c, err := xlcfg.Parse(w.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if c.Text("text") != s || c.Int("memory") != 256 {
			t.Errorf("%q came back as %q", s, c.Text("text"))
		}
		if diff := cmp.Diff(texts, c.List("list")); diff != "" {
			t.Error(diff)
		}
	}
}

// vmcfg is what an Oracle VM Manager writes.
const vmcfg = `vif = ['mac=00:21:f6:01:02:03,bridge=10a1b2c3']
OVM_simple_name = 'OVM_OL7U6_x86_64_PVHVM'
disk = ['file:/OVS/Repositories/0004/VirtualDisks/System.img,xvda,w',
        'file:/OVS/cd.iso,xvdb:cdrom,r',] # two
OVM_description = 'Oracle\x20Linux \101'
memory=2048; vcpus = 0x2
on_crash = "restart"
timer_mode = -1
vfb = []
apic = True
`

func TestParse(t *testing.T) {
	c, err := xlcfg.Parse([]byte(vmcfg))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"file:/OVS/Repositories/0004/VirtualDisks/System.img,xvda,w", "file:/OVS/cd.iso,xvdb:cdrom,r"}
	if diff := cmp.Diff(want, c.List("disk")); diff != "" {
		t.Error(diff)
	}
	if c.Int("memory") != 2048 || c.Int("vcpus") != 2 || c.Text("on_crash") != "restart" || c.Text("apic") != "True" ||
		c.Int("timer_mode") != -1 || len(c.List("vfb")) != 0 || len(c.List("vif")) != 1 || c.Text("OVM_description") != "Oracle Linux A" {
		t.Errorf("%+v", c)
	}
	if c.Text("disk") != "" || c.Int("on_crash") != 0 || c.List("none") != nil || len(c.List("on_crash")) != 1 {
		t.Error("a value of another kind is told")
	}
}

func TestRefused(t *testing.T) {
	for text, word := range map[string]string{
		"a":             "no =",
		"a = ":          "neither a string nor a number",
		"= 1":           "begins with a key",
		"a = 'x":        "no end",
		"a = 'x\n'":     "no end",
		"a = 'x\\":      "no end",
		`a = "\x1"`:     "not a number",
		`a = '\x1`:      "cut short",
		`a = "\777"`:    "not a number",
		"\n\nb = ['a'":  "line 3",
		"a = ['a' 'b']": "no end",
		"a = [['a']]":   "neither",
		"a = 1 + 2":     "behind the value",
		"import os":     "no =",
		"a = [" + strings.Repeat("1,", 10_001) + "]": "more than 10000",
		strings.Repeat(" ", xlcfg.MaxSize+1):         "more than 1048576",
	} {
		_, err := xlcfg.Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%.30q: %v", text, err)
		}
	}
}

// FuzzParse writes again what it could read: it must be read the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(vmcfg))
	f.Add([]byte("name = \"a\"\ndisk = [ 'format=raw,vdev=xvda' ]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := xlcfg.Parse(text)
		if err != nil {
			return
		}
		for key, v := range c {
			var w xlcfg.Writer
			if v.IsList {
				w.List(key, v.List...)
			} else {
				w.String(key, v.Text)
			}
			again, err := xlcfg.Parse(w.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(v, again[key]); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}
