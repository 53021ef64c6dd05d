package dhcp

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// errDeadline is the end of waiting in Conn.Receive.
var errDeadline = os.ErrDeadlineExceeded

// packetConn speaks whole Ethernet frames, so that it needs no address on the
// interface and reaches all servers.
type packetConn struct {
	file     *os.File
	hardware [6]byte
	source   netip.Addr
	buf      [2048]byte
}

// OpenPacket returns a connection to all servers on the interface with that
// index. The source is the interface's address, or the zero Addr as long as it
// has none. The caller needs CAP_NET_RAW.
func OpenPacket(index int, hardware [6]byte, source netip.Addr) (Conn, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening a packet socket: %w", err)
	}
	// The filter comes before the bind, which begins the receiving.
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, replies())
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_IP), Ifindex: index})
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("setting up the packet socket: %w", err)
	}
	return &packetConn{file: os.NewFile(uintptr(fd), "packet"), hardware: hardware, source: source}, nil
}

// replies lets pass unfragmented UDP to the client's port, so that other
// traffic does not fill the socket's queue.
func replies() *unix.SockFprog {
	const (
		ldh, ldb, ldx = unix.BPF_LD | unix.BPF_H, unix.BPF_LD | unix.BPF_B, unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH
		jeq, jset     = unix.BPF_JMP | unix.BPF_JEQ, unix.BPF_JMP | unix.BPF_JSET
	)
	filter := []unix.SockFilter{
		{Code: ldb | unix.BPF_ABS, K: ethernetLen + 9},
		{Code: jeq, K: protoUDP, Jf: 6},
		{Code: ldh | unix.BPF_ABS, K: ethernetLen + 6},
		{Code: jset, K: 0x1fff, Jt: 4},
		{Code: ldx, K: ethernetLen},
		{Code: ldh | unix.BPF_IND, K: ethernetLen + 2},
		{Code: jeq, K: clientPort, Jf: 1},
		{Code: unix.BPF_RET, K: 0xffff},
		{Code: unix.BPF_RET, K: 0},
	}
	return &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
}

// htons is needed because the kernel takes the protocol in network order.
func htons(v uint16) uint16 { return v<<8 | v>>8 }

func (c *packetConn) Send(message []byte) error {
	_, err := c.file.Write(frame(c.hardware, c.source, message))
	return err
}

func (c *packetConn) Receive(deadline time.Time) ([]byte, error) {
	if err := c.file.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	for {
		n, err := c.file.Read(c.buf[:])
		if err != nil {
			return nil, err
		}
		if m, ok := payload(c.buf[:n]); ok {
			return m, nil
		}
	}
}

func (c *packetConn) Close() error { return c.file.Close() }

// unicastConn sends to the server that granted the lease, and receives as a
// packetConn: a refusal comes as a broadcast (RFC 2131, section 4.3.2), which
// a socket bound to the interface's address does not get.
type unicastConn struct {
	Conn
	fd     int
	server unix.SockaddrInet4
}

// OpenUnicast returns a connection from the interface's own address to one
// server, by the routes of the interface.
func OpenUnicast(index int, hardware [6]byte, local, server netip.Addr) (Conn, error) {
	if !local.Is4() || !server.Is4() {
		return nil, fmt.Errorf("speaking to the DHCP server from %v to %v: not IPv4 addresses", local, server)
	}
	packets, err := OpenPacket(index, hardware, local)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		packets.Close()
		return nil, fmt.Errorf("opening a socket to the DHCP server: %w", err)
	}
	c := &unicastConn{packets, fd, unix.SockaddrInet4{Port: serverPort, Addr: server.As4()}}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: clientPort, Addr: local.As4()}); err != nil {
		c.Close()
		return nil, fmt.Errorf("binding the socket to the DHCP server: %w", err)
	}
	return c, nil
}

func (c *unicastConn) Send(message []byte) error {
	return unix.Sendto(c.fd, message, 0, &c.server)
}

func (c *unicastConn) Close() error {
	return errors.Join(unix.Close(c.fd), c.Conn.Close())
}
