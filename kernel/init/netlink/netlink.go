// Package netlink sets up a network interface over rtnetlink: up, its MTU, an
// address, the default route. These are the few messages of rtnetlink(7) that
// an appliance with one interface needs.
//
// Every call changes the network namespace that its thread is in and needs
// CAP_NET_ADMIN there.
package netlink

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Up takes the interface with that index up. An mtu of 0 leaves the MTU as it
// is; otherwise it is set in the same step, in bytes.
func Up(index, mtu int) error {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], unix.IFF_UP)
	binary.NativeEndian.PutUint32(b[12:], unix.IFF_UP)
	if mtu != 0 {
		b = attribute(b, unix.IFLA_MTU, binary.NativeEndian.AppendUint32(nil, uint32(mtu)))
	}
	if err := ask(unix.RTM_NEWLINK, 0, b); err != nil {
		return fmt.Errorf("taking interface %d up: %w", index, err)
	}
	return nil
}

// AddAddress gives the interface an address; one that it has already is
// updated. An IPv6 address is usable at once: duplicates are not looked for.
func AddAddress(index int, p netip.Prefix) error {
	flags := uint16(unix.NLM_F_CREATE | unix.NLM_F_REPLACE)
	if err := ask(unix.RTM_NEWADDR, flags, address(index, p)); err != nil {
		return fmt.Errorf("adding address %v: %w", p, err)
	}
	return nil
}

// DeleteAddress takes an address away, and the routes that depend on it.
func DeleteAddress(index int, p netip.Prefix) error {
	if err := ask(unix.RTM_DELADDR, 0, address(index, p)); err != nil {
		return fmt.Errorf("deleting address %v: %w", p, err)
	}
	return nil
}

// DefaultRoute sends everything else to gateway. A gateway outside the
// network p of the interface is taken to be on the link all the same, as
// clouds that hand out single addresses expect.
func DefaultRoute(index int, p netip.Prefix, gateway netip.Addr) error {
	b := make([]byte, unix.SizeofRtMsg)
	b[0] = family(gateway)
	b[4] = unix.RT_TABLE_MAIN
	b[5] = unix.RTPROT_BOOT
	b[6] = unix.RT_SCOPE_UNIVERSE
	b[7] = unix.RTN_UNICAST
	if !p.Contains(gateway) {
		binary.NativeEndian.PutUint32(b[8:], unix.RTNH_F_ONLINK)
	}
	b = attribute(b, unix.RTA_GATEWAY, gateway.AsSlice())
	b = attribute(b, unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, uint32(index)))
	if err := ask(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, b); err != nil {
		return fmt.Errorf("routing by %v: %w", gateway, err)
	}
	return nil
}

func family(a netip.Addr) byte {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// address is the body of RTM_NEWADDR and RTM_DELADDR.
func address(index int, p netip.Prefix) []byte {
	b := make([]byte, unix.SizeofIfAddrmsg)
	b[0], b[1] = family(p.Addr()), byte(p.Bits())
	if p.Addr().Is6() {
		b[2] = unix.IFA_F_NODAD
	}
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	b = attribute(b, unix.IFA_LOCAL, p.Addr().AsSlice())
	b = attribute(b, unix.IFA_ADDRESS, p.Addr().AsSlice())
	if p.Addr().Is4() && p.Bits() < 31 {
		last := p.Addr().As4()
		v := binary.BigEndian.Uint32(last[:]) | (1<<(32-p.Bits()) - 1)
		b = attribute(b, unix.IFA_BROADCAST, binary.BigEndian.AppendUint32(nil, v))
	}
	return b
}

// attribute appends a struct rtattr with its value, padded to four bytes.
func attribute(b []byte, kind uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofRtAttr+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	for len(b)%unix.RTA_ALIGNTO != 0 {
		b = append(b, 0)
	}
	return b
}

// ask sends one request and returns what the kernel answers to it.
func ask(kind, flags uint16, body []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	b := make([]byte, unix.SizeofNlMsghdr, unix.SizeofNlMsghdr+len(body))
	binary.NativeEndian.PutUint32(b[0:], uint32(unix.SizeofNlMsghdr+len(body)))
	binary.NativeEndian.PutUint16(b[4:], kind)
	binary.NativeEndian.PutUint16(b[6:], flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	binary.NativeEndian.PutUint32(b[8:], 1)
	if err := unix.Sendto(fd, append(b, body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	var reply [4096]byte
	n, _, err := unix.Recvfrom(fd, reply[:], 0)
	if err != nil {
		return err
	}
	if n < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(reply[4:]) != unix.NLMSG_ERROR {
		return fmt.Errorf("the kernel answered %d bytes that are no acknowledgement", n)
	}
	if code := int32(binary.NativeEndian.Uint32(reply[unix.SizeofNlMsghdr:])); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}
