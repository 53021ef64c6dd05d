package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/kernel/init/config"
)

func TestParseCmdline(t *testing.T) {
	line := parseCmdline(`console=tty0 quiet  console=ttyS0,115200n8 opt="a b" root=/dev/vda root=PARTUUID=x console=ttyS0 console=../sda` + "\n")
	want := cmdline{"console=tty0", "quiet", "console=ttyS0,115200n8", "opt=a b", "root=/dev/vda", "root=PARTUUID=x", "console=ttyS0", "console=../sda"}
	if diff := cmp.Diff(want, line); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"/dev/tty0", "/dev/ttyS0"}, line.consoles()); diff != "" {
		t.Error(diff)
	}
	if got := line.last("root"); got != "PARTUUID=x" {
		t.Errorf("root=%s", got)
	}
	if !line.has("quiet") || line.has("root") || line.last("init") != "" {
		t.Error("words that are not there, or are")
	}
}

func TestPolicy(t *testing.T) {
	const fails, ends, killed = syscall.WaitStatus(3 << 8), syscall.WaitStatus(0), syscall.WaitStatus(9)
	type exit struct {
		after  time.Duration // since the exit before
		ran    time.Duration
		status syscall.WaitStatus
		wait   time.Duration // 0: for good
	}
	for _, test := range []struct {
		name  string
		p     policy
		exits []exit
	}{
		{"never", policy{restart: "never"}, []exit{{0, 0, fails, 0}}},
		{"unset", policy{}, []exit{{0, 0, killed, 0}}},
		{"on failure", policy{restart: "on-failure"}, []exit{
			{0, 0, fails, firstWait}, {0, 0, killed, 2 * firstWait}, {0, 0, ends, 0},
		}},
		{"always, with the longest wait", policy{restart: "always"}, []exit{
			{0, 0, ends, firstWait}, {0, 0, ends, time.Second}, {0, 0, ends, 2 * time.Second}, {0, 0, ends, 4 * time.Second},
			{0, 0, ends, 8 * time.Second}, {0, 0, ends, 16 * time.Second}, {0, 0, ends, longWait}, {0, 0, ends, longWait},
			{settled, settled, ends, firstWait},
		}},
		{"bounded within the window", policy{restart: "always", max: 2}, []exit{
			{0, 0, ends, firstWait}, {window / 2, window / 2, ends, firstWait},
			{window/2 + time.Second, window / 2, ends, firstWait}, {time.Second, time.Second, ends, 0},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			now := time.Unix(0, 0)
			for i, e := range test.exits {
				now = now.Add(e.after)
				wait, again := test.p.next(now, e.ran, e.status)
				if wait != e.wait || again != (e.wait != 0) {
					t.Errorf("exit %d: %v, %v; want %v", i, wait, again, e.wait)
				}
			}
		})
	}
	if got := ending(fails) + ", " + ending(killed); got != "status 3, signal 9" {
		t.Errorf("endings %s", got)
	}
}

func TestEnvironment(t *testing.T) {
	g := &config.Guest{Timezone: "Europe/Berlin", App: config.App{UID: 1000, Env: []string{"LANG=C", "A=1", "A=2"}}}
	got := environment(g, "root:x:0:0::/root:\nbroken\napp:x:1000:1000::/srv/app:/bin/false\n")
	want := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/srv/app", "TZ=Europe/Berlin", "LANG=C", "A=2",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := home("", 1000); got != "/" {
		t.Errorf("home of a user without an entry is %s", got)
	}
}

func TestHosts(t *testing.T) {
	want := "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\ta.b a\n192.0.2.1 x\n"
	if diff := cmp.Diff(want, hosts("a.b", "192.0.2.1 x")); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(hosts("localhost", ""), "127.0.1.1") {
		t.Error("localhost has two addresses")
	}
}

func TestResolver(t *testing.T) {
	got := resolver("corp.test", []netip.Addr{netip.MustParseAddr("1.1.1.1"), netip.MustParseAddr("::1")})
	if want := "search corp.test\nnameserver 1.1.1.1\nnameserver ::1\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestSysctls(t *testing.T) {
	got := sysctls(map[string]string{"kernel.printk": "7", "vm.swappiness": "1"}, parseCmdline("quiet"))
	want := map[string]string{"kernel.printk": "7", "vm.swappiness": "1", "net.ipv4.ip_unprivileged_port_start": "0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, ok := sysctls(nil, parseCmdline("loglevel=7"))["kernel.printk"]; ok {
		t.Error("the command line's loglevel was overruled")
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{"net/eth0.1/mtu": "", "vm/x": ""})
	err := setSysctls(dir, map[string]string{
		"net.eth0/1.mtu": "1", "vm/x": "2", "vm.missing": "3", "vm/../../escape": "4",
	})
	if err == nil || !strings.Contains(err.Error(), "vm.missing") || !strings.Contains(err.Error(), "escape") {
		t.Errorf("error %v", err)
	}
	for path, want := range map[string]string{"net/eth0.1/mtu": "1\n", "vm/x": "2\n"} {
		if b, err := os.ReadFile(filepath.Join(dir, path)); err != nil || string(b) != want {
			t.Errorf("%s is %q, %v", path, b, err)
		}
	}
}

// write makes files below dir.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(text), 0o644))
	}
}

func TestEthernet(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"lo/type": "772\n", "lo/ifindex": "1\n"})
	if _, err := ethernet(dir); err != errLate {
		t.Errorf("without a device: %v", err)
	}
	write(t, dir, map[string]string{
		"a0/type": "1\n", "a0/ifindex": "10\n",
		"b0/type": "1\n", "b0/ifindex": "9\n", "b0/address": "52:54:00:12:34:5f\n", "b0/carrier": "1\n",
	})
	name, err := ethernet(dir)
	if name != "b0" || err != nil {
		t.Errorf("the first device is %q, %v", name, err)
	}
	l, err := readLink(dir, name)
	if want := (link{"b0", 9, [6]byte{0x52, 0x54, 0, 0x12, 0x34, 0x5f}}); l != want || err != nil {
		t.Errorf("%+v, %v", l, err)
	}
	if _, err := carrier(dir, "a0"); err == nil {
		t.Error("a0 has a carrier")
	}
	for _, bad := range []string{"", "52:54", "52:54:00:12:34:xx", "52:54:00:12:34:100"} {
		if _, err := parseHardware(bad); err == nil {
			t.Errorf("%q is a hardware address", bad)
		}
	}
}

// TestPartition has a /sys of a real MBR table's shape.
func TestPartition(t *testing.T) {
	sys, dev := t.TempDir(), t.TempDir()
	mbr := make([]byte, 512)
	copy(mbr[440:], []byte{0x4d, 0x3c, 0x2b, 0x1a})
	mbr[446+16+4], mbr[510], mbr[511] = 0x83, 0x55, 0xaa
	write(t, dev, map[string]string{"sda": string(make([]byte, 512)), "nvme0n1": string(mbr)})
	write(t, sys, map[string]string{
		"sda/size": "1\n", "sr0/size": "0\n", "nvme0n1/size": "1\n",
		"nvme0n1/queue/logical_block_size": "512\n",
		"nvme0n1p2/partition":              "2\n",
	})
	if _, err := partition(sys, dev, "1a2b3c4d-02"); err == nil || !strings.Contains(err.Error(), errLate.Error()) {
		t.Errorf("before the kernel shows it: %v", err)
	}
	write(t, sys, map[string]string{"nvme0n1/nvme0n1p2/partition": "2\n"})
	got, err := waitFor(time.Minute, func() (string, error) { return partition(sys, dev, "1A2B3C4D-02") })
	if got != filepath.Join(dev, "nvme0n1p2") || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := partition(sys, dev, "junk"); err == nil {
		t.Error("junk names a partition")
	}
}

func TestTmpfsOptions(t *testing.T) {
	got := tmpfsOptions(config.Mount{Mode: 0o1777, Size: 4096, UID: 1, GID: 2})
	if want := "mode=1777,size=4096,uid=1,gid=2"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := tmpfsOptions(config.Mount{}); got != "" {
		t.Errorf("%s, want none", got)
	}
}

func TestAsMade(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to own the folder as mkfs does")
	}
	for name, files := range map[string][]string{
		"yes, empty": nil, "yes, made": {"lost+found/"}, "no, used": {"lost+found/", "file"}, "no, one file": {"file"},
	} {
		dir := t.TempDir()
		must(t, os.Chmod(dir, 0o755))
		for _, f := range files {
			if strings.HasSuffix(f, "/") {
				must(t, os.Mkdir(filepath.Join(dir, f), 0o700))
			} else {
				must(t, os.WriteFile(filepath.Join(dir, f), nil, 0o600))
			}
		}
		if got, err := asMade(dir); got != strings.HasPrefix(name, "yes") || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestPressed(t *testing.T) {
	event := func(kind, code byte, value byte) []byte {
		b := make([]byte, eventSize)
		b[16], b[18], b[20] = kind, code, value
		return b
	}
	sync, release, press := event(0, 0, 0), event(evKey, keyPower, 0), event(evKey, keyPower, 1)
	if pressed(append(sync, release...)) || pressed(press[:eventSize-1]) || pressed(nil) {
		t.Error("pressed without a press")
	}
	if !pressed(append(append([]byte{}, sync...), press...)) {
		t.Error("a press was not seen")
	}
}

func TestRootDevice(t *testing.T) {
	for root, want := range map[string]string{
		"": "no root=", "LABEL=x": "neither PARTUUID", "/dev/none": errLate.Error(), "/dev/null": "",
	} {
		got, err := rootDevice(root)
		if want == "" && (err != nil || got != root) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("root=%s: %q, %v", root, got, err)
		}
	}
	if diff := cmp.Diff([]string{"ext4", "erofs"}, diskFilesystems("nodev\tproc\n\text4\nnodev\ttmpfs\n\terofs\n")); diff != "" {
		t.Error(diff)
	}
}

// The tables are those of a guest that serves on 8080 by IPv6, as Java does, on
// 2181 by IPv4, on 8005 and 9990 of the loopback, and has a connection.
func TestListening(t *testing.T) {
	const tcp = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0885 00000000:0000 0A 00000000:00000000 00:00000000 00000000 10001        0 8213 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1F45 00000000:0000 0A 00000000:00000000 00:00000000 00000000 10001        0 8214 1 0000000000000000 100 0 0 10 0
   2: 0F02000A:0885 0202000A:A1B2 01 00000000:00000000 00:00000000 00000000 10001        0 8215 1 0000000000000000 20 4 30 10 -1
`
	const tcp6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 10001        0 8216 1 0000000000000000 100 0 0 10 0
   1: 0000000000000000FFFF00000100007F:2706 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 10001        0 8217 1 0000000000000000 100 0 0 10 0
   2: 00000000000000000000000001000000:2707 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 10001        0 8218 1 0000000000000000 100 0 0 10 0
   3: 0000000000000000FFFF00000F02000A:2708 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 10001        0 8218 1 0000000000000000 100 0 0 10 0
`
	if diff := cmp.Diff([]int{2181}, listening([]byte(tcp))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{8080, 9992}, listening([]byte(tcp6))); diff != "" {
		t.Error(diff)
	}
	if got := listening([]byte("sl\n 0: 0A 0A 0A 0A\n 1: 00000000:1F90 0 01 0A\n 2: 00000000:1FFFF 0 0A\n")); got != nil {
		t.Errorf("lines without a socket that listens give %v", got)
	}
}
