package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/kernel/init/config"
	answering "github.com/imgbuild/imgbuild/output/ovf/environment"
)

// asked is the serving guest with properties for each place.
func asked() config.Guest {
	g := serving()
	g.App.Env = append(g.App.Env, "SHOP=default")
	g.Properties = []config.Property{
		{Key: "shop", Value: "default", Env: "SHOP"},
		{Key: "secret", Env: "SECRET"},
		{Key: "ip", Network: config.NetworkAddress},
		{Key: "dns", Network: config.NetworkDNS},
		{Key: "host", Network: config.NetworkHostname},
	}
	return g
}

// genisoimage makes a CD of a document, as hypervisors do.
func genisoimage(t *testing.T, doc []byte) string {
	t.Helper()
	need(t, "genisoimage", "genisoimage")
	dir := t.TempDir()
	document, cd := filepath.Join(dir, "ovf-env.xml"), filepath.Join(dir, "cd.iso")
	must(t, os.WriteFile(document, doc, 0o644))
	run(t, "", "genisoimage", "-quiet", "-R", "-J", "-o", cd, document)
	return cd
}

// TestBootProperties boots with the CD of a hypervisor, which sets a static
// address, the host name and the app's environment.
func TestBootProperties(t *testing.T) {
	testKernel(t)
	const shop, secret = `Grüß & <"Gott's"> $HOME`, "s3cret word"
	doc, err := answering.Document([]answering.Property{
		{Key: "shop", Value: shop}, {Key: "secret", Value: secret},
		{Key: "ip", Value: "10.0.2.77/24"}, {Key: "dns", Value: "10.0.2.3 192.0.2.53"}, {Key: "host", Value: "shop.example"},
	})
	must(t, err)
	for name, args := range map[string][]string{
		"cdrom": {"-cdrom", genisoimage(t, doc)},
		"disk":  {"-drive", "if=none,id=cd,format=raw,readonly=on,file=" + genisoimage(t, doc), "-device", "virtio-blk-pci,drive=cd"},
	} {
		t.Run(name, func(t *testing.T) {
			m := start(t, erofs(t, tree(t, asked())), options{nic: true, guest: "10.0.2.77", args: args})
			m.expect("imgbuild: properties 5 on " + map[string]string{"cdrom": "sr0", "disk": "vdb"}[name])
			m.expect("imgbuild: network eth0 10.0.2.77/24")
			m.expect("app: listening")
			r := m.report()
			env := strings.Join(r.Env, "\n")
			if !strings.Contains(env, "SHOP="+shop) || !strings.Contains(env, "SECRET="+secret) || strings.Contains(env, "default") {
				t.Errorf("the app's environment is %q", r.Env)
			}
			if r.Hostname != "shop.example" || r.Resolver != "nameserver 10.0.2.3\nnameserver 192.0.2.53\n" {
				t.Errorf("host %s, resolver %q", r.Hostname, r.Resolver)
			}
			if r.Answers != string(doc) {
				t.Errorf("the document is %q", r.Answers)
			}
			m.press()
			m.expect("imgbuild: poweroff")
			m.ended()
			if strings.Contains(strings.Join(m.seen, "\n"), secret) {
				t.Error("the password is on the console")
			}
		})
	}
}

// TestBootBadProperties has an empty drive, a CD that is none, and an address
// that is none: the guest runs as it was made.
func TestBootBadProperties(t *testing.T) {
	testKernel(t)
	wrong, err := answering.Document([]answering.Property{{Key: "ip", Value: "s3cret"}})
	must(t, err)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"empty":   {[]string{"-drive", "if=ide,media=cdrom"}, "imgbuild: properties none"},
		"hostile": {[]string{"-cdrom", genisoimage(t, []byte("<Environment>\n\x1b[2Js3cret"))}, "imgbuild: warning looking for the OVF environment: sr0: reading the OVF environment: line 2 is not XML"},
		"wrong":   {[]string{"-cdrom", genisoimage(t, wrong)}, "imgbuild: warning property ip: not an IP address"},
	} {
		t.Run(name, func(t *testing.T) {
			m := start(t, erofs(t, tree(t, asked())), options{nic: true, args: c.args})
			m.expect(c.want)
			m.expect("imgbuild: network eth0 10.0.2.15/24")
			m.expect("app: listening")
			r := m.report()
			if !strings.Contains(strings.Join(r.Env, "\n"), "SHOP=default") || r.Hostname != "tester.example" {
				t.Errorf("host %s, environment %q", r.Hostname, r.Env)
			}
			m.press()
			m.expect("imgbuild: poweroff")
			m.ended()
			if strings.Contains(strings.Join(m.seen, "\n"), "s3cret") {
				t.Error("the console tells a value")
			}
		})
	}
}
