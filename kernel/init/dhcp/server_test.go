package dhcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/kernel/init/netlink"
)

// server is a real DHCP server in a network namespace of its own.
type server struct {
	program, debian string
	naks            bool // tells a client that its lease is a foreign one
	// command returns the command line; the range of addresses is
	// 10.99.0.from to 10.99.0.to, the lease of so many seconds.
	command func(dir string, from, to, seconds int) string
}

func servers() map[string]server {
	return map[string]server{
		"udhcpd": {"udhcpd", "udhcpd", false, func(dir string, from, to, seconds int) string {
			conf := filepath.Join(dir, "udhcpd.conf")
			text := fmt.Sprintf(`start 10.99.0.%d
end 10.99.0.%d
interface srv
lease_file %s/leases
pidfile %s/pid
option subnet 255.255.255.0
option router 10.99.0.1
option dns 10.99.0.2 10.99.0.3
option domain corp.test
option mtu 1400
option lease %d
`, from, to, dir, dir, seconds)
			_ = os.WriteFile(filepath.Join(dir, "leases"), nil, 0o644)
			_ = os.WriteFile(conf, []byte(text), 0o644)
			return "exec udhcpd -f " + conf
		}},
		"dnsmasq": {"dnsmasq", "dnsmasq-base", true, func(dir string, from, to, seconds int) string {
			return fmt.Sprintf("exec dnsmasq -k -C /dev/null -p 0 -i srv --bind-interfaces -u root --dhcp-authoritative"+
				" --dhcp-leasefile=%s/leases -F 10.99.0.%d,10.99.0.%d,255.255.255.0,%d"+
				" -O option:router,10.99.0.1 -O option:dns-server,10.99.0.2,10.99.0.3"+
				" -O option:domain-name,corp.test -O option:mtu,1400 --log-facility=- --dhcp-ignore-clid", dir, from, to, seconds)
		}},
	}
}

// cable is the client's side: the thread of the test is in a namespace with one
// end of a cable, whose other end is where the servers are put.
type cable struct {
	t     *testing.T
	index int
	id    Identity
}

// newCable moves the calling thread into a new namespace for good: it ends
// with the test.
func newCable(t *testing.T) *cable {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root for a network namespace")
	}
	need(t, "ip", "iproute2")
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("no network namespace here: %v", err)
	}
	return &cable{t: t}
}

func need(t *testing.T, program, debian string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed (Debian package %s)", program, debian)
		}
		t.Skipf("%s is not installed (Debian package %s)", program, debian)
	}
}

func (c *cable) ip(args string) string {
	c.t.Helper()
	out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
	if err != nil {
		c.t.Fatalf("ip %s: %v\n%s", args, err, out)
	}
	return string(out)
}

// plug lays a new cable to a server that runs the command, and returns what
// stops it.
func (c *cable) plug(command string) (stop func()) {
	c.t.Helper()
	cmd := exec.Command("sh", "-c", "read go; ip link set lo up; ip addr add 10.99.0.1/24 dev srv; ip link set srv up; "+command)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	in, err := cmd.StdinPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.ip("link add cli type veth peer name srv")
	c.ip("link set cli address 52:54:00:12:34:56")
	c.ip(fmt.Sprintf("link set srv netns %d", cmd.Process.Pid))
	first, _, _ := strings.Cut(c.ip("-o link show cli"), ":")
	c.index = must(strconv.Atoi(first))(c.t)
	c.id = Identity{Hardware: hardware, Hostname: "tester"}
	if err := netlink.Up(c.index, 0); err != nil {
		c.t.Fatal(err)
	}
	_ = must(io.WriteString(in, "go\n"))(c.t)
	return func() {
		c.ip("link delete cli") // before the namespace, which would take it along
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if c.t.Failed() {
			c.t.Log(log.String())
		}
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// renew asks once, over the connection that open returns.
func (c *cable) renew(l Lease, conn Conn, err error) (Lease, error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	return Renew(context.Background(), conn, c.id, l, 5*time.Second)
}

func (c *cable) acquire() Lease {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn := must(OpenPacket(c.index, hardware, netip.Addr{}))(c.t)
	defer conn.Close()
	l := must(Acquire(ctx, conn, c.id))(c.t)
	if err := netlink.AddAddress(c.index, l.Address); err != nil {
		c.t.Fatal(err)
	}
	return l
}

func TestServers(t *testing.T) {
	if testing.Short() {
		t.Skip("servers take seconds to see that an address is free")
	}
	for name, s := range servers() {
		t.Run(name, func(t *testing.T) {
			need(t, s.program, s.debian)
			c := newCable(t)
			stop := c.plug(s.command(t.TempDir(), 100, 100, 3600))
			l := c.acquire()
			if l.Address.String() != "10.99.0.100/24" || l.Router.String() != "10.99.0.1" || len(l.DNS) != 2 ||
				l.Domain != "corp.test" || l.MTU != 1400 || l.Server.String() != "10.99.0.1" || l.Duration != time.Hour {
				t.Errorf("lease %+v", l)
			}
			local := l.Address.Addr()
			conn, err := OpenUnicast(c.index, hardware, local, l.Server)
			if next, err := c.renew(l, conn, err); err != nil || !next.Same(l) {
				t.Errorf("renewing: %+v, %v", next, err)
			}
			conn, err = OpenPacket(c.index, hardware, local)
			if next, err := c.renew(l, conn, err); err != nil || !next.Same(l) {
				t.Errorf("rebinding: %+v, %v", next, err)
			}
			stop()

			// A server that knows nothing of the lease and has other addresses.
			stop = c.plug(s.command(t.TempDir(), 150, 150, 3600))
			defer stop()
			other := c.acquire()
			if other.Address.String() != "10.99.0.150/24" {
				t.Errorf("the second lease is %+v", other)
			}
			if err := netlink.AddAddress(c.index, l.Address); err != nil {
				t.Fatal(err)
			}
			conn, err = OpenUnicast(c.index, hardware, local, l.Server)
			if next, err := c.renew(l, conn, err); err == nil || errors.Is(err, ErrNak) != s.naks {
				t.Errorf("renewing a foreign lease: %+v, %v", next, err)
			}
		})
	}
}

// TestKeep has a lease that must be renewed every two seconds, first by a
// server that is there and then by none.
func TestKeep(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for leases to end")
	}
	s := servers()["udhcpd"]
	need(t, s.program, s.debian)
	c := newCable(t)
	stop := c.plug(s.command(t.TempDir(), 100, 100, 4))
	l := c.acquire()
	renewals := 0
	err := Keep(context.Background(), c.index, c.id, l, func(next Lease) {
		if renewals++; renewals == 2 {
			stop()
		}
		if !next.Same(l) {
			t.Errorf("renewed to %+v", next)
		}
	})
	if renewals != 2 || !errors.Is(err, ErrExpired) {
		t.Errorf("after %d renewals: %v", renewals, err)
	}
}
