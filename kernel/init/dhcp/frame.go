package dhcp

import (
	"encoding/binary"
	"net/netip"
)

const (
	ethernetLen = 14
	ipLen       = 20
	udpLen      = 8
	etherIPv4   = 0x0800
	protoUDP    = 17
	serverPort  = 67
	clientPort  = 68
)

// frame puts Ethernet, IPv4 and UDP headers before a message that goes to all
// servers.
func frame(hardware [6]byte, source netip.Addr, message []byte) []byte {
	b := make([]byte, ethernetLen+ipLen+udpLen, ethernetLen+ipLen+udpLen+len(message))
	copy(b[0:6], "\xff\xff\xff\xff\xff\xff")
	copy(b[6:12], hardware[:])
	binary.BigEndian.PutUint16(b[12:], etherIPv4)

	ip := b[ethernetLen : ethernetLen+ipLen]
	ip[0] = 0x45
	binary.BigEndian.PutUint16(ip[2:], uint16(ipLen+udpLen+len(message)))
	ip[8], ip[9] = 64, protoUDP
	if source.Is4() {
		a := source.As4()
		copy(ip[12:], a[:])
	}
	copy(ip[16:], "\xff\xff\xff\xff")
	binary.BigEndian.PutUint16(ip[10:], checksum(ip))

	// A checksum of zero tells that there is none (RFC 768): the Ethernet
	// frame has its own.
	udp := b[ethernetLen+ipLen:]
	binary.BigEndian.PutUint16(udp[0:], clientPort)
	binary.BigEndian.PutUint16(udp[2:], serverPort)
	binary.BigEndian.PutUint16(udp[4:], uint16(udpLen+len(message)))
	return append(b, message...)
}

// payload returns the DHCP message inside a frame for the client's port. The
// UDP checksum is not looked at: between guests of one host it is left
// unfinished, because the sender counts on a network card to do it.
func payload(b []byte) (message []byte, ok bool) {
	if len(b) < ethernetLen+ipLen+udpLen || binary.BigEndian.Uint16(b[12:]) != etherIPv4 {
		return nil, false
	}
	ip := b[ethernetLen:]
	hlen, total := int(ip[0]&15)*4, int(binary.BigEndian.Uint16(ip[2:]))
	fragment := binary.BigEndian.Uint16(ip[6:])&0x3fff != 0
	if ip[0]>>4 != 4 || hlen < ipLen || total < hlen+udpLen || total > len(ip) || ip[9] != protoUDP || fragment {
		return nil, false
	}
	udp := ip[hlen:total]
	n := int(binary.BigEndian.Uint16(udp[4:]))
	if binary.BigEndian.Uint16(udp[2:]) != clientPort || n < udpLen || n > len(udp) {
		return nil, false
	}
	return udp[udpLen:n], true
}

// checksum is that of RFC 1071 over a header of even length.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
