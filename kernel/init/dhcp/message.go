package dhcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Message types (RFC 2132, section 9.6).
const (
	typeDiscover = 1
	typeOffer    = 2
	typeRequest  = 3
	typeAck      = 5
	typeNak      = 6
)

// Options used (RFC 2132, and RFC 3442 for 121).
const (
	optPad           = 0
	optSubnetMask    = 1
	optRouter        = 3
	optDNS           = 6
	optHostName      = 12
	optDomain        = 15
	optMTU           = 26
	optRequestedIP   = 50
	optLeaseTime     = 51
	optOverload      = 52
	optMessageType   = 53
	optServerID      = 54
	optParameterList = 55
	optMaxSize       = 57
	optRenewalTime   = 58
	optRebindTime    = 59
	optClientID      = 61
	optEnd           = 255
)

// The fixed part of a message (RFC 2131, section 2) and its bounds in bytes.
const (
	headerLen  = 236
	magic      = 0x63825363
	minMessage = 300 // some relays drop shorter BOOTP messages
	maxMessage = 1472
)

// message is what a reply says, checked but not judged.
type message struct {
	kind    byte
	xid     uint32
	yiaddr  netip.Addr
	chaddr  [6]byte
	options map[byte][]byte
}

var errMalformed = errors.New("malformed DHCP message")

// parse reads a server's reply. Options in the sname and file fields are read
// too (option overload), and an option given several times is put together
// (RFC 3396).
func parse(b []byte) (message, error) {
	var m message
	if len(b) < headerLen+4 || len(b) > 65535 ||
		b[0] != 2 || b[1] != 1 || b[2] != 6 ||
		binary.BigEndian.Uint32(b[headerLen:]) != magic {
		return m, errMalformed
	}
	m.xid = binary.BigEndian.Uint32(b[4:])
	m.yiaddr = netip.AddrFrom4([4]byte(b[16:20]))
	copy(m.chaddr[:], b[28:34])
	m.options = make(map[byte][]byte)
	if err := m.readOptions(b[headerLen+4:]); err != nil {
		return m, err
	}
	if over := m.options[optOverload]; len(over) == 1 {
		if over[0]&1 != 0 {
			if err := m.readOptions(b[108:236]); err != nil {
				return m, err
			}
		}
		if over[0]&2 != 0 {
			if err := m.readOptions(b[44:108]); err != nil {
				return m, err
			}
		}
	}
	kind := m.options[optMessageType]
	if len(kind) != 1 {
		return m, fmt.Errorf("%w: no message type", errMalformed)
	}
	m.kind = kind[0]
	return m, nil
}

func (m *message) readOptions(b []byte) error {
	for len(b) > 0 && b[0] != optEnd {
		if b[0] == optPad {
			b = b[1:]
			continue
		}
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			return fmt.Errorf("%w: option %d runs over the end", errMalformed, b[0])
		}
		m.options[b[0]] = append(m.options[b[0]], b[2:2+int(b[1])]...)
		b = b[2+int(b[1]):]
	}
	return nil
}

// addr returns the first address of an option, or the zero Addr.
func (m *message) addr(option byte) netip.Addr {
	b := m.options[option]
	if len(b) < 4 {
		return netip.Addr{}
	}
	return netip.AddrFrom4([4]byte(b[:4]))
}

// seconds returns a time option; 0 when it is absent.
func (m *message) seconds(option byte) time.Duration {
	b := m.options[option]
	if len(b) != 4 {
		return 0
	}
	return time.Duration(binary.BigEndian.Uint32(b)) * time.Second
}

// lease judges the reply: what can be used of it becomes a Lease.
func (m *message) lease() (Lease, error) {
	l := Lease{Server: m.addr(optServerID), Duration: m.seconds(optLeaseTime)}
	bits := 0
	if mask := m.options[optSubnetMask]; len(mask) == 4 {
		v := binary.BigEndian.Uint32(mask)
		for v&(1<<31) != 0 {
			v <<= 1
			bits++
		}
		if v != 0 {
			return l, fmt.Errorf("subnet mask %v has holes", mask)
		}
	} else {
		bits = classBits(m.yiaddr)
	}
	a := m.yiaddr
	if a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() || a.As4()[0] >= 224 {
		return l, fmt.Errorf("%v is no address for a host", a)
	}
	l.Address = netip.PrefixFrom(a, bits)
	if r := m.addr(optRouter); r.IsValid() && !r.IsUnspecified() {
		l.Router = r
	}
	for b := m.options[optDNS]; len(b) >= 4 && len(l.DNS) < 3; b = b[4:] {
		l.DNS = append(l.DNS, netip.AddrFrom4([4]byte(b[:4])))
	}
	l.Domain = domainName(m.options[optDomain])
	if b := m.options[optMTU]; len(b) == 2 {
		if mtu := int(binary.BigEndian.Uint16(b)); mtu >= 576 {
			l.MTU = mtu
		}
	}
	l.setTimes(m.seconds(optRenewalTime), m.seconds(optRebindTime))
	return l, nil
}

// classBits is the prefix length of a server that sends no mask.
func classBits(a netip.Addr) int {
	switch first := a.As4()[0]; {
	case first < 128:
		return 8
	case first < 192:
		return 16
	}
	return 24
}

// domainName keeps only what may stand in resolv.conf: a hostile name must not
// begin a line of its own there.
func domainName(b []byte) string {
	s := strings.Trim(string(b), "\x00.")
	if len(s) > 253 {
		return ""
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9',
			c == '-', c == '.', c == '_':
		default:
			return ""
		}
	}
	return s
}

// request is what the client says.
type request struct {
	kind      byte
	xid       uint32
	secs      time.Duration
	ciaddr    netip.Addr // the address in use, when renewing
	requested netip.Addr
	server    netip.Addr
	id        Identity
}

// encode builds the message of r.
func (r request) encode() []byte {
	b := make([]byte, headerLen, minMessage)
	b[0], b[1], b[2] = 1, 1, 6
	binary.BigEndian.PutUint32(b[4:], r.xid)
	binary.BigEndian.PutUint16(b[8:], uint16(min(r.secs/time.Second, 0xffff)))
	if r.ciaddr.Is4() {
		a := r.ciaddr.As4()
		copy(b[12:], a[:])
	}
	copy(b[28:], r.id.Hardware[:])
	b = binary.BigEndian.AppendUint32(b, magic)
	b = append(b, optMessageType, 1, r.kind)
	b = append(b, optClientID, 7, 1)
	b = append(b, r.id.Hardware[:]...)
	if r.requested.Is4() {
		a := r.requested.As4()
		b = append(append(b, optRequestedIP, 4), a[:]...)
	}
	if r.server.Is4() {
		a := r.server.As4()
		b = append(append(b, optServerID, 4), a[:]...)
	}
	if n := len(r.id.Hostname); n > 0 && n <= 63 {
		b = append(append(b, optHostName, byte(n)), r.id.Hostname...)
	}
	b = append(b, optMaxSize, 2, maxMessage>>8, maxMessage&0xff)
	b = append(b, optParameterList, 8, optSubnetMask, optRouter, optDNS, optDomain,
		optMTU, optLeaseTime, optRenewalTime, optRebindTime)
	b = append(b, optEnd)
	for len(b) < minMessage {
		b = append(b, optPad)
	}
	return b
}
