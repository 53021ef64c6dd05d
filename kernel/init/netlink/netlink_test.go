package netlink

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestInterface sets up one end of a cable in a network namespace; ip(8) tells
// what has become of it.
func TestInterface(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root for a network namespace")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("ip is not installed (Debian package iproute2)")
		}
		t.Skip("ip is not installed (Debian package iproute2)")
	}
	runtime.LockOSThread() // the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("no network namespace here: %v", err)
	}
	ip := func(args string) string {
		t.Helper()
		out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
		if err != nil {
			t.Fatalf("ip %s: %v\n%s", args, err, out)
		}
		return string(out)
	}
	ip("link add cli type veth peer name srv")
	ip("link set srv up")
	text, _, _ := strings.Cut(ip("-o link show cli"), ":")
	index, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	p4, p6 := netip.MustParsePrefix("192.0.2.9/24"), netip.MustParsePrefix("2001:db8::9/64")
	route := func(p netip.Prefix, gateway string) func() error {
		return func() error { return DefaultRoute(index, p, netip.MustParseAddr(gateway)) }
	}
	for _, step := range []struct {
		name       string
		do         func() error
		show, want string
	}{
		{"up", func() error { return Up(index, 0) }, "link show cli", ",UP"},
		{"MTU", func() error { return Up(index, 1400) }, "link show cli", "mtu 1400"},
		{"address", func() error { return AddAddress(index, p4) }, "addr show cli", "inet 192.0.2.9/24 brd 192.0.2.255"},
		{"the same again", func() error { return AddAddress(index, p4) }, "addr show cli", "inet 192.0.2.9/24"},
		{"IPv6 address", func() error { return AddAddress(index, p6) }, "addr show cli", "inet6 2001:db8::9/64"},
		{"route", route(p4, "192.0.2.1"), "route", "default via 192.0.2.1 dev cli"},
		{"another route", route(p4, "192.0.2.2"), "route", "default via 192.0.2.2 dev cli"},
		{"IPv6 route", route(p6, "2001:db8::1"), "-6 route", "default via 2001:db8::1 dev cli"},
		{"gateway outside", route(p4, "169.254.1.1"), "route", "default via 169.254.1.1 dev cli onlink"},
	} {
		if err := step.do(); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		if got := ip(step.show); !strings.Contains(got, step.want) {
			t.Errorf("%s: no %q in\n%s", step.name, step.want, got)
		}
	}
	if got := ip("route"); strings.Count(got, "default") != 1 {
		t.Errorf("more than one default route:\n%s", got)
	}
	if err := DeleteAddress(index, p4); err != nil {
		t.Error(err)
	}
	if got := ip("addr show cli"); strings.Contains(got, "192.0.2.9") {
		t.Errorf("the address is still there:\n%s", got)
	}
	if err := DeleteAddress(index, p4); err == nil {
		t.Error("deleting an address that is not there: no error")
	}
	if err := Up(9999, 0); err == nil || !strings.Contains(err.Error(), fmt.Sprint(unix.ENODEV)) {
		t.Errorf("taking up an interface that is not there: %v", err)
	}
}
