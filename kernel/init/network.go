package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/imgbuild/imgbuild/kernel/init/config"
	"github.com/imgbuild/imgbuild/kernel/init/dhcp"
	"github.com/imgbuild/imgbuild/kernel/init/netlink"
)

const (
	resolvFile = "/run/resolv.conf" // /etc/resolv.conf is a link to it

	// linkPatience is how long init waits for an Ethernet device to appear,
	// and then for its carrier.
	linkPatience = 3 * time.Second

	// leaseAgain is the pause before a new lease after one was lost.
	leaseAgain = time.Second
)

// link is the Ethernet device that the appliance uses.
type link struct {
	name     string
	index    int
	hardware [6]byte
}

// network brings up the network and keeps it.
type network struct {
	config   config.Network
	hostname string
	console  *console
	ready    chan struct{} // closed when the app may start
}

// run works until the guest ends. It closes ready when there is an address, or
// when none is to be expected.
func (n *network) run(ctx context.Context) error {
	ready := func() {
		if n.ready != nil {
			close(n.ready)
			n.ready = nil
		}
	}
	defer ready()
	if err := netlink.Up(1, 0); err != nil { // the loopback device is the first there is
		return fmt.Errorf("setting up the network: %w", err)
	}
	if n.config.Mode == "none" || n.config.Mode == "" {
		return keepKernelResolver()
	}
	name, err := waitFor(linkPatience, func() (string, error) { return ethernet("/sys/class/net") })
	if err != nil {
		n.console.line(config.LineNetwork, "none: no Ethernet device")
		return nil
	}
	l, err := readLink("/sys/class/net", name)
	if err != nil {
		return err
	}
	if err := netlink.Up(l.index, 0); err != nil {
		return fmt.Errorf("setting up the network: %w", err)
	}
	if n.config.Mode == "static" {
		return n.static(l)
	}
	return n.dhcp(ctx, l, ready)
}

func (n *network) static(l link) error {
	p, err := netip.ParsePrefix(n.config.Address)
	if err != nil {
		return fmt.Errorf("reading the static address: %w", err)
	}
	var gateway netip.Addr
	if n.config.Gateway != "" {
		if gateway, err = netip.ParseAddr(n.config.Gateway); err != nil {
			return fmt.Errorf("reading the gateway: %w", err)
		}
	}
	return n.apply(l, dhcp.Lease{Address: p, Router: gateway})
}

func parseServers(list []string) ([]netip.Addr, error) {
	var servers []netip.Addr
	for _, s := range list {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return nil, fmt.Errorf("reading the name servers: %w", err)
		}
		servers = append(servers, a)
	}
	return servers, nil
}

// dhcp leases an address again and again, whatever goes wrong in between: the
// guest may be of use without one.
func (n *network) dhcp(ctx context.Context, l link, ready func()) error {
	_, _ = waitFor(linkPatience, func() (string, error) { return carrier("/sys/class/net", l.name) })
	for {
		err := n.leaseOnce(ctx, l, ready)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n.console.line(config.LineWarning, "leasing an address: %v", err)
		time.Sleep(leaseAgain)
	}
}

// leaseOnce leases an address and keeps it until it is lost.
func (n *network) leaseOnce(ctx context.Context, l link, ready func()) error {
	id := dhcp.Identity{Hardware: l.hardware, Hostname: n.hostname}
	conn, err := dhcp.OpenPacket(l.index, l.hardware, netip.Addr{})
	if err != nil {
		return err
	}
	lease, err := dhcp.Acquire(ctx, conn, id)
	if err := errors.Join(err, conn.Close()); err != nil {
		return err
	}
	if err := n.apply(l, lease); err != nil {
		return err
	}
	ready()
	err = dhcp.Keep(ctx, l.index, id, lease, func(next dhcp.Lease) {
		if next.Same(lease) {
			return
		}
		if err := n.replace(l, lease, next); err != nil {
			n.console.line(config.LineWarning, "renewing the lease: %v", err)
		}
		lease = next
	})
	return errors.Join(err, netlink.DeleteAddress(l.index, lease.Address))
}

// replace applies a lease whose terms have changed.
func (n *network) replace(l link, old, next dhcp.Lease) error {
	if old.Address != next.Address {
		if err := netlink.DeleteAddress(l.index, old.Address); err != nil {
			return err
		}
	}
	return n.apply(l, next)
}

// apply sets up the interface and the resolver.
func (n *network) apply(l link, lease dhcp.Lease) error {
	if lease.MTU != 0 {
		if err := netlink.Up(l.index, lease.MTU); err != nil {
			n.console.line(config.LineWarning, "setting an MTU of %d: %v", lease.MTU, err)
		}
	}
	if err := netlink.AddAddress(l.index, lease.Address); err != nil {
		return err
	}
	if lease.Router.IsValid() {
		if err := netlink.DefaultRoute(l.index, lease.Address, lease.Router); err != nil {
			return err
		}
	}
	dns := lease.DNS
	if len(n.config.DNS) > 0 { // the recipe knows better than the server
		var err error
		if dns, err = parseServers(n.config.DNS); err != nil {
			return err
		}
	}
	if err := writeResolver([]byte(resolver(lease.Domain, dns))); err != nil {
		return err
	}
	n.console.line(config.LineNetwork, "%s %v", l.name, lease.Address)
	return nil
}

// resolver returns the text of resolv.conf.
func resolver(domain string, dns []netip.Addr) string {
	var b strings.Builder
	if domain != "" {
		b.WriteString("search " + domain + "\n")
	}
	for _, a := range dns {
		b.WriteString("nameserver " + a.String() + "\n")
	}
	return b.String()
}

// writeResolver replaces the file in one step: the app may be reading it.
func writeResolver(text []byte) error {
	err := os.WriteFile(resolvFile+".new", text, 0o644)
	if err == nil {
		err = os.Rename(resolvFile+".new", resolvFile)
	}
	if err != nil {
		return fmt.Errorf("writing the resolver's file: %w", err)
	}
	return nil
}

// keepKernelResolver serves a guest whose network the kernel has set up by ip=
// on its command line: the kernel tells the name servers in this form.
func keepKernelResolver() error {
	text, err := os.ReadFile("/proc/net/pnp")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("reading the kernel's name servers: %w", err)
	}
	return writeResolver(text)
}

// ethernet returns the name of the first Ethernet device below dir, which is
// /sys/class/net: the one with the lowest index.
func ethernet(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("looking for network devices: %w", err)
	}
	const arphrdEther = 1
	name, first := "", int64(0)
	for _, e := range entries {
		kind, err := readNumber(filepath.Join(dir, e.Name(), "type"))
		if err != nil || kind != arphrdEther {
			continue
		}
		index, err := readNumber(filepath.Join(dir, e.Name(), "ifindex"))
		if err == nil && (name == "" || index < first) {
			name, first = e.Name(), index
		}
	}
	if name == "" {
		return "", errLate
	}
	return name, nil
}

// carrier tells that the device has one; until then frames are lost.
func carrier(dir, name string) (string, error) {
	if n, err := readNumber(filepath.Join(dir, name, "carrier")); err != nil || n != 1 {
		return "", errLate
	}
	return name, nil
}

func readLink(dir, name string) (link, error) {
	l := link{name: name}
	index, err := readNumber(filepath.Join(dir, name, "ifindex"))
	if err != nil {
		return l, fmt.Errorf("reading network device %s: %w", name, err)
	}
	l.index = int(index)
	text, err := os.ReadFile(filepath.Join(dir, name, "address"))
	if err != nil {
		return l, fmt.Errorf("reading network device %s: %w", name, err)
	}
	l.hardware, err = parseHardware(strings.TrimSpace(string(text)))
	return l, err
}

func parseHardware(s string) (hardware [6]byte, err error) {
	groups := strings.Split(s, ":")
	if len(groups) != len(hardware) {
		return hardware, fmt.Errorf("hardware address %q: not six bytes", s)
	}
	for i, group := range groups {
		b, err := strconv.ParseUint(group, 16, 8)
		if err != nil {
			return hardware, fmt.Errorf("hardware address %q: %w", s, err)
		}
		hardware[i] = byte(b)
	}
	return hardware, nil
}
