package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/kernel/init/config"
	"github.com/imgbuild/imgbuild/kernel/init/ovfenv"
	answering "github.com/imgbuild/imgbuild/output/ovf/environment"
)

// asking has one property for each place that a value can have.
func asking() config.Guest {
	return config.Guest{
		Hostname: "tester",
		App: config.App{
			Command: []string{"/jre/bin/java", "-Dshop.name=default", "-cp", "x.jar", "Main", "-Dshop.colour=argument"},
			Env:     []string{"SECRET=", "GREETING=default"},
		},
		Network: config.Network{Mode: "dhcp"},
		Properties: []config.Property{
			{Key: "greeting", Value: "default", Env: "GREETING"},
			{Key: "secret", Env: "SECRET"},
			{Key: "name", Value: "default", SystemProperty: "shop.name"},
			{Key: "colour", SystemProperty: "shop.colour"},
			{Key: "ip", Network: config.NetworkAddress},
			{Key: "mask", Network: config.NetworkNetmask, Value: "255.255.255.0"},
			{Key: "gw", Network: config.NetworkGateway},
			{Key: "dns", Network: config.NetworkDNS},
			{Key: "host", Network: config.NetworkHostname},
		},
	}
}

func TestApply(t *testing.T) {
	g := asking()
	problems := apply(&g, map[string]string{
		"greeting": `<"Grüß" & Gott>`, "secret": "a=b c", "name": "", "colour": "red -Dx=y",
		"ip": " 192.0.2.7 ", "gw": "192.0.2.1", "dns": "192.0.2.2, 192.0.2.3;2001:db8::1", "host": "shop.example", "unasked": "x",
	})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if want := []string{"/jre/bin/java", "-Dshop.colour=red -Dx=y", "-Dshop.name=", "-cp", "x.jar", "Main", "-Dshop.colour=argument"}; !reflect.DeepEqual(g.App.Command, want) {
		t.Errorf("the command is %q, want %q", g.App.Command, want)
	}
	env := strings.Join(environment(&g, ""), "\n")
	if want := "GREETING=<\"Grüß\" & Gott>\nSECRET=a=b c"; !strings.Contains(env, want) || strings.Contains(env, "default") {
		t.Errorf("the environment is %q", env)
	}
	network := config.Network{Mode: "static", Address: "192.0.2.7/24", Gateway: "192.0.2.1", DNS: []string{"192.0.2.2", "192.0.2.3", "2001:db8::1"}}
	if !reflect.DeepEqual(g.Network, network) || g.Hostname != "shop.example" {
		t.Errorf("the network is %+v of %s", g.Network, g.Hostname)
	}
}

// TestApplyNothing leaves the guest as it is made.
func TestApplyNothing(t *testing.T) {
	g := asking()
	problems := apply(&g, nil)
	want := asking()
	if len(problems) > 0 || !reflect.DeepEqual(g, want) {
		t.Errorf("the guest became %+v, %v", g, problems)
	}
}

// TestApplyDefault has an address and a host name in the recipe.
func TestApplyDefault(t *testing.T) {
	g := asking()
	g.Properties[4].Value, g.Properties[8].Value = "2001:db8::7/64", "made"
	if problems := apply(&g, map[string]string{"host": ""}); len(problems) > 0 {
		t.Fatal(problems)
	}
	if g.Network.Mode != "static" || g.Network.Address != "2001:db8::7/64" || g.Hostname != "tester" {
		t.Errorf("the network is %+v of %s", g.Network, g.Hostname)
	}
}

// TestApplyBad has values that are none; no complaint repeats them.
func TestApplyBad(t *testing.T) {
	for key, values := range map[string][]string{
		"ip":   {"s3cret", "192.0.2.300", "192.0.2.7/33", "fe80::1%s3cret", "192.0.2.7 255.255.255.0", "192.0.2.7/24\n"},
		"mask": {"255.0.255.0", "33", "s3cret", "2001:db8::"},
		"gw":   {"s3cret", "192.0.2.1/24"},
		"dns":  {"192.0.2.2 s3cret"},
		"host": {"s3cret s3cret", "-x", "x.", "s3cret\n127.0.0.1 example", strings.Repeat("x", 65)},
		"name": {"s3cret\x00"},
	} {
		for _, value := range values {
			g := asking()
			all := map[string]string{"ip": "192.0.2.7", "mask": "24", key: value}
			problems := apply(&g, all)
			if value == "192.0.2.7/24\n" { // white space around a value is nothing
				if len(problems) > 0 {
					t.Errorf("%s %q: %v", key, value, problems)
				}
				continue
			}
			if len(problems) != 1 || strings.Contains(problems[0].Error(), "s3cret") {
				t.Errorf("%s %q: %v", key, value, problems)
			}
			if (key == "ip" || key == "mask") && g.Network.Mode != "dhcp" {
				t.Errorf("%s %q: the network is %+v", key, value, g.Network)
			}
			if g.Network.Gateway != "" || len(g.Network.DNS) > 0 || g.Hostname != "tester" {
				t.Errorf("%s %q: the network is %+v of %s", key, value, g.Network, g.Hostname)
			}
		}
	}
}

// cdOf is a CD with an environment.
func cdOf(t *testing.T, properties ...answering.Property) []byte {
	t.Helper()
	doc, err := answering.Document(properties)
	must(t, err)
	var b bytes.Buffer
	must(t, answering.WriteCD(&b, doc))
	return b.Bytes()
}

// drivesOf makes the folders that stand for /sys/class/block and /dev.
func drivesOf(t *testing.T, media map[string][]byte) (sys, dev string) {
	t.Helper()
	dir := t.TempDir()
	sys, dev = filepath.Join(dir, "sys"), filepath.Join(dir, "dev")
	must(t, os.Mkdir(dev, 0o755))
	for name, medium := range media {
		must(t, os.MkdirAll(filepath.Join(sys, name, "device"), 0o755))
		if medium != nil { // else the drive is empty
			must(t, os.WriteFile(filepath.Join(dev, name), medium, 0o644))
		}
	}
	return sys, dev
}

func TestFindAnswers(t *testing.T) {
	good := cdOf(t, answering.Property{Key: "greeting", Value: "hello"})
	other := cdOf(t, answering.Property{Key: "greeting", Value: "other"})
	var hostile bytes.Buffer
	must(t, answering.WriteCD(&hostile, []byte("<Environment>s3cret")))
	for _, c := range []struct {
		name  string
		media map[string][]byte
		want  string // the value, or what the error says
	}{
		{"a CD", map[string][]byte{"sr0": good, "vda": make([]byte, 1<<20)}, "hello"},
		{"the second drive", map[string][]byte{"sr0": nil, "sr1": good}, "hello"},
		{"a disk", map[string][]byte{"sda": make([]byte, 1<<20), "xvdd": good}, "hello"},
		{"CDs come first", map[string][]byte{"hda": other, "sr1": good}, "hello"},
		{"behind a bad one", map[string][]byte{"sr0": hostile.Bytes(), "sr1": good}, "hello"},
		{"none", map[string][]byte{"sr0": nil, "vda": make([]byte, 100)}, ovfenv.ErrNone.Error()},
		{"a bad one alone", map[string][]byte{"sr0": hostile.Bytes(), "vda": make([]byte, 1<<20)}, "sr0: reading the OVF environment: line 1 is not XML in UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := findAnswers(drivesOf(t, c.media))
			got := a.values["greeting"]
			if err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

// TestDrives leaves out partitions and what is no device.
func TestDrives(t *testing.T) {
	sys := t.TempDir()
	for _, path := range []string{"loop0", "ram0", "sda/device", "sda1/partition", "sr0/device", "cciss!c0d0/device"} {
		must(t, os.MkdirAll(filepath.Join(sys, path), 0o755))
	}
	got, err := drives(sys)
	if want := []string{"sr0", "cciss!c0d0", "sda"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("the drives are %q, %v, want %q", got, err, want)
	}
	for i := range 2 * maxDrives {
		must(t, os.MkdirAll(filepath.Join(sys, fmt.Sprintf("sr%d/device", i)), 0o755))
	}
	if got, err := drives(sys); err != nil || len(got) != maxDrives {
		t.Errorf("%d drives, %v", len(got), err)
	}
	if _, err := drives(filepath.Join(sys, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the error is %v", err)
	}
}

func TestKeepAnswers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ovf-env.xml")
	must(t, keepAnswers(path, []byte("x"), config.App{UID: os.Getuid(), GID: os.Getgid()}))
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode() != 0o400 {
		t.Errorf("the mode is %v", info.Mode())
	}
}
