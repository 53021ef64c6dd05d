package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgbuild/imgbuild/kernel/init/config"
)

// report is testdata/app's answer, as far as the tests look at it.
type report struct {
	UID, GID         int
	Groups           []int
	Dir, Hostname    string
	Env, Hosts       []string
	Status           map[string]string
	Limits, Resolver string
	Mounts, Init     string
	Session, PID     int
	Zombies          int
	Note, DataError  string
	Answers          string
}

func (m *machine) report() report {
	m.t.Helper()
	b, err := m.get("/")
	must(m.t, err)
	var r report
	must(m.t, json.Unmarshal(b, &r))
	return r
}

func TestBootDHCP(t *testing.T) {
	m := start(t, erofs(t, tree(t, serving())), options{nic: true})
	m.expect("imgbuild: up ")
	m.expect("imgbuild: network eth0 10.0.2.15/24")
	m.expect("imgbuild: started pid ")
	m.expect("app: listening")
	r := m.report()
	if r.UID != 1000 || r.GID != 1000 || len(r.Groups) != 0 || r.Dir != "/tmp" {
		t.Errorf("user %d:%d, groups %v, in %s", r.UID, r.GID, r.Groups, r.Dir)
	}
	for _, key := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		if r.Status[key] != "0000000000000000" {
			t.Errorf("%s is %s", key, r.Status[key])
		}
	}
	if r.Status["NoNewPrivs"] != "1" || r.Session != r.PID {
		t.Errorf("no new privileges: %s, session %d of pid %d", r.Status["NoNewPrivs"], r.Session, r.PID)
	}
	env := strings.Join(r.Env, " ")
	for _, want := range []string{"HOME=/data", "TZ=UTC", "GREETING=hello", "LANG=C", "PATH="} {
		if !strings.Contains(env+" ", want) {
			t.Errorf("%s is missing in %s", want, env)
		}
	}
	if strings.Contains(env, "C.UTF-8") {
		t.Errorf("the default of LANG was not replaced: %s", env)
	}
	if r.Hostname != "tester.example" || len(r.Hosts) != 1 || r.Hosts[0] != "127.0.1.1" {
		t.Errorf("host %s is %v", r.Hostname, r.Hosts)
	}
	if !strings.Contains(r.Resolver, "nameserver 10.0.2.3") {
		t.Errorf("resolv.conf: %s", r.Resolver)
	}
	if !strings.Contains(r.Limits, "1048576") {
		t.Errorf("limits: %s", r.Limits)
	}
	m.press()
	m.expect("imgbuild: stopping power button")
	m.expect("app: stopping")
	m.expect("imgbuild: exited status 0")
	m.expect("imgbuild: poweroff")
	m.ended()
}

func TestBootRestarts(t *testing.T) {
	g := serving()
	g.App.Command = []string{"/app", "exit", "3"}
	g.Restart, g.MaxRestarts = "on-failure", 2
	g.Network.Mode = "none"
	m := start(t, erofs(t, tree(t, g)), options{})
	for range 2 {
		m.expect("imgbuild: exited status 3")
		m.expect("imgbuild: restarting in ")
	}
	m.expect("imgbuild: exited status 3")
	m.expect("imgbuild: poweroff")
	m.ended()
	if n := strings.Count(strings.Join(m.seen, "\n"), "imgbuild: started "); n != 3 {
		t.Errorf("started %d times", n)
	}
}

// TestBootStatic has two consoles, of which the second is the app's, and an
// app that is killed.
func TestBootStatic(t *testing.T) {
	g := serving()
	g.Network = config.Network{Mode: "static", Address: "10.0.2.15/24", Gateway: "10.0.2.2", DNS: []string{"10.0.2.3", "fec0::3"}}
	second := filepath.Join(t.TempDir(), "hvc0")
	m := start(t, erofs(t, tree(t, g)), options{
		nic:     true,
		cmdline: strings.Replace(rootCmdline, "console=ttyS0", "console=ttyS0,115200 console=hvc0", 1),
		args:    []string{"-device", "virtio-serial-pci", "-chardev", "file,id=c1,path=" + second, "-device", "virtconsole,chardev=c1"},
	})
	m.expect("imgbuild: network eth0 10.0.2.15/24")
	m.expect("imgbuild: started pid ")
	awaitFile(t, second, "app: listening")
	r := m.report()
	if want := "nameserver 10.0.2.3\nnameserver fec0::3\n"; r.Resolver != want {
		t.Errorf("resolv.conf is %q, want %q", r.Resolver, want)
	}
	if b, err := m.get("/orphan"); err != nil || !strings.Contains(string(b), "<nil>") {
		t.Errorf("leaving an orphan: %s, %v", b, err)
	}
	for r.Zombies = 1; r.Zombies > 0; r = m.report() {
		// The orphan ends a little later; unreaped it stays a zombie, and the
		// test ends at its own limit.
	}
	_, _ = m.get("/kill") // gets no answer
	m.expect("imgbuild: exited signal 9")
	m.expect("imgbuild: poweroff")
	m.ended()
	for _, want := range []string{"imgbuild: up ", "imgbuild: exited signal 9", "imgbuild: poweroff"} {
		awaitFile(t, second, want)
	}
}

// TestBootDeafConsole has a first console that nobody listens to.
func TestBootDeafConsole(t *testing.T) {
	g := serving()
	g.App.Command = []string{"/app", "exit", "0"}
	g.Network.Mode = "none"
	deaf := filepath.Join(t.TempDir(), "deaf")
	m := start(t, erofs(t, tree(t, g)), options{
		cmdline: strings.Replace(rootCmdline, "console=ttyS0", "console=hvc0 console=ttyS0", 1),
		args: []string{"-device", "virtio-serial-pci", "-chardev", "socket,id=c1,server=on,wait=off,path=" + deaf,
			"-device", "virtconsole,chardev=c1"},
	})
	m.expect("imgbuild: exited status 0")
	m.expect("imgbuild: poweroff")
	m.ended()
}

func awaitFile(t *testing.T, path, text string) {
	t.Helper()
	for end := time.Now().Add(bootPatience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), text) {
			return
		}
	}
	t.Fatalf("no %q in %s", text, path)
}

func TestBootMissingApp(t *testing.T) {
	g := serving()
	g.App.Command = []string{"/missing"}
	g.Network.Mode = "none"
	m := start(t, erofs(t, tree(t, g)), options{})
	m.expect("imgbuild: failed starting /missing: no such file")
	m.expect("imgbuild: poweroff")
	m.ended()
}

func TestBootMissingData(t *testing.T) {
	m := start(t, erofs(t, tree(t, withData())), options{})
	m.expect("imgbuild: failed mounting /data: PARTUUID=" + strings.ToLower(dataUUID) + ": no such device after 10s")
	m.expect("imgbuild: poweroff")
	m.ended()
}

// TestBootData boots one disk twice: the data partition is given to the app,
// and keeps what it wrote. The first boot ends in a power cut, so that the
// second has a journal to replay; after the second the filesystem is clean.
func TestBootData(t *testing.T) {
	disk := partitioned(t, erofs(t, tree(t, withData())))
	o := options{nic: true, cmdline: strings.Replace(rootCmdline, "/dev/vda", "PARTUUID="+rootUUID, 1)}
	m := start(t, disk, o)
	m.expect("app: listening")
	r := m.report()
	if r.DataError != "" {
		t.Errorf("writing to /data: %s", r.DataError)
	}
	for _, want := range []string{
		"/dev/vda3 /data ext4 rw,nosuid,nodev",
		"tmpfs /tmp tmpfs rw,nosuid,nodev,relatime,size=1024k",
		"tmpfs /run tmpfs rw,nosuid,nodev,relatime,mode=755",
	} {
		if !strings.Contains(r.Mounts, want) {
			t.Errorf("no mount %q in\n%s", want, r.Mounts)
		}
	}
	must(t, m.cmd.Process.Kill())
	m.ended()
	if features := dataFeatures(t, disk); !strings.Contains(features, "needs_recovery") {
		t.Errorf("the power cut left nothing to recover: %s", features)
	}

	m = start(t, disk, o)
	m.expect("app: listening")
	if r := m.report(); r.Note != "tester.example" || r.DataError != "" {
		t.Errorf("the note in /data is %q, error %q", r.Note, r.DataError)
	}
	m.press()
	m.expect("imgbuild: poweroff")
	m.ended()
	if features := dataFeatures(t, disk); strings.Contains(features, "needs_recovery") {
		t.Errorf("the data was not unmounted: %s", features)
	}
}

func TestBootStubborn(t *testing.T) {
	g := serving()
	g.App.Command = []string{"/app", "stubborn"}
	g.StopTimeout = 1
	m := start(t, erofs(t, tree(t, g)), options{}) // no network device either
	m.expect("imgbuild: network none")
	m.expect("app: listening")
	m.press()
	m.expect("imgbuild: exited signal 9")
	m.expect("imgbuild: poweroff")
	m.ended()
}

// TestBootOrders stops the guest as the kernel does for Xen and Hyper-V.
func TestBootOrders(t *testing.T) {
	for name, want := range map[string]string{"poweroff": "poweroff", "reboot": "reboot"} {
		g := serving()
		g.App.UID, g.App.GID = 0, 0
		g.App.Command = []string{"/app", "order", "/sbin/" + name}
		g.Network.Mode = "none"
		m := start(t, erofs(t, tree(t, g)), options{})
		m.expect("imgbuild: stopping by order")
		m.expect("imgbuild: exited signal 15")
		m.expect("imgbuild: " + want)
		m.ended()
	}
}

// TestBootHalt stays until the power button, after an app that could not start.
func TestBootHalt(t *testing.T) {
	g := serving()
	g.App.Dir = "/missing"
	g.Network.Mode, g.OnExit = "none", "halt"
	m := start(t, erofs(t, tree(t, g)), options{})
	m.expect("imgbuild: failed starting /app")
	m.expect("imgbuild: halt")
	m.press()
	m.expect("imgbuild: poweroff")
	m.ended()
}

// TestBootNoServer starts the app although nobody answers to DHCP.
func TestBootNoServer(t *testing.T) {
	g := serving()
	g.App.Command = []string{"/app", "exit", "0"}
	m := start(t, erofs(t, tree(t, g)), options{
		args: []string{"-netdev", "hubport,id=n0,hubid=0", "-device", "virtio-net-pci,netdev=n0,romfile="},
	})
	m.expect("imgbuild: started pid ")
	m.expect("imgbuild: poweroff")
	m.ended()
	if strings.Contains(strings.Join(m.seen, "\n"), "imgbuild: network ") {
		t.Error("a network out of nothing")
	}
}

// TestBootLittleMemory is the least that a small app needs; the kernel itself
// leaves much less than that.
func TestBootLittleMemory(t *testing.T) {
	m := start(t, erofs(t, tree(t, serving())), options{nic: true, memory: "56"})
	m.expect("app: listening")
	r := m.report()
	for line := range strings.Lines(r.Init) {
		if strings.HasPrefix(line, "Vm") || strings.HasPrefix(line, "Rss") {
			t.Log(strings.TrimSpace(line))
		}
	}
	m.press()
	m.expect("imgbuild: poweroff")
	m.ended()
}

// TestBootInitramfs runs the kernel of a Debian package, which has all drivers
// in modules.
func TestBootInitramfs(t *testing.T) {
	testKernel(t)
	kernel, initrd := debianInitramfs(t)
	disk := partitioned(t, erofs(t, tree(t, withData())))
	m := start(t, disk, options{
		nic: true, kernel: kernel, initrd: initrd, memory: "192",
		cmdline: "console=ttyS0 quiet panic=-1 net.ifnames=0 ro root=PARTUUID=" + strings.ToLower(rootUUID),
	})
	m.expect("imgbuild: up ")
	m.expect("app: listening")
	r := m.report()
	if r.DataError != "" || !strings.Contains(r.Mounts, "/dev/vda1 / erofs ro") {
		t.Errorf("error %q, mounts\n%s", r.DataError, r.Mounts)
	}
	m.press()
	m.expect("imgbuild: stopping power button")
	m.expect("imgbuild: poweroff")
	m.ended()
}

// TestBootNoRoot fails in the initramfs, where a reason must be seen as well.
func TestBootNoRoot(t *testing.T) {
	testKernel(t)
	kernel, initrd := debianInitramfs(t)
	m := start(t, erofs(t, tree(t, serving())), options{
		kernel: kernel, initrd: initrd, memory: "192",
		cmdline: "console=ttyS0 quiet panic=-1 ro root=LABEL=root",
	})
	m.expect("imgbuild: failed mounting the root: root=LABEL=root: neither")
	m.ended()
}
