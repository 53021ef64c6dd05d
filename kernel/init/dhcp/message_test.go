package dhcp

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func addrs(list ...string) []netip.Addr {
	var a []netip.Addr
	for _, s := range list {
		a = append(a, netip.MustParseAddr(s))
	}
	return a
}

// compare looks into netip's types by their text.
var compare = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

var hardware = [6]byte{0x52, 0x54, 0, 0x12, 0x34, 0x56}

// reply builds a server's message with the given options.
func reply(kind byte, options ...byte) []byte {
	b := make([]byte, headerLen+4)
	b[0], b[1], b[2] = 2, 1, 6
	binary.BigEndian.PutUint32(b[4:], 0x01020304)
	copy(b[16:], []byte{10, 0, 2, 15})
	copy(b[28:], hardware[:])
	binary.BigEndian.PutUint32(b[headerLen:], magic)
	b = append(b, optMessageType, 1, kind)
	return append(append(b, options...), optEnd)
}

func TestLease(t *testing.T) {
	full := []byte{
		optSubnetMask, 4, 255, 255, 254, 0,
		optRouter, 8, 10, 0, 2, 2, 10, 0, 2, 3,
		optPad, optPad,
		optDNS, 16, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4,
		optDomain, 9, 'c', 'o', 'r', 'p', '.', 't', 'e', 's', 't',
		optMTU, 2, 0x05, 0xb4,
		optServerID, 4, 10, 0, 2, 1,
		optLeaseTime, 4, 0, 0, 0x0e, 0x10,
	}
	for _, test := range []struct {
		name    string
		options []byte
		want    Lease
	}{
		{"full", full, Lease{
			Address: netip.MustParsePrefix("10.0.2.15/23"), Router: netip.MustParseAddr("10.0.2.2"),
			DNS: addrs("1.1.1.1", "2.2.2.2", "3.3.3.3"), Domain: "corp.test", MTU: 1460,
			Server:   netip.MustParseAddr("10.0.2.1"),
			Duration: time.Hour, Renew: 30 * time.Minute, Rebind: 3150 * time.Second,
		}},
		{"nothing", nil, Lease{
			Address: netip.MustParsePrefix("10.0.2.15/8"), Duration: time.Hour, Renew: 30 * time.Minute, Rebind: 3150 * time.Second,
		}},
		{"infinite", []byte{optLeaseTime, 4, 255, 255, 255, 255, optSubnetMask, 4, 255, 255, 255, 255}, Lease{
			Address: netip.MustParsePrefix("10.0.2.15/32"), Duration: Infinite, Renew: Infinite / 2, Rebind: Infinite - Infinite/8,
		}},
		{"a domain with a line end, split options, tiny MTU", []byte{
			optDomain, 6, 'a', '\n', 'n', 'a', 'm', 'e', optMTU, 2, 0, 68,
			optDNS, 2, 9, 9, optDNS, 2, 9, 9,
		}, Lease{
			Address: netip.MustParsePrefix("10.0.2.15/8"), DNS: addrs("9.9.9.9"), Duration: time.Hour, Renew: 30 * time.Minute, Rebind: 3150 * time.Second,
		}},
		{"times without sense", []byte{
			optLeaseTime, 4, 0, 0, 0, 1, optRenewalTime, 4, 0, 1, 0, 0, optRebindTime, 4, 0, 1, 0, 0,
		}, Lease{
			Address: netip.MustParsePrefix("10.0.2.15/8"), Duration: 4 * time.Second, Renew: 2 * time.Second, Rebind: 3500 * time.Millisecond,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, err := parse(reply(typeAck, test.options...))
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.lease()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, compare); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLeaseRefuses(t *testing.T) {
	for _, test := range []struct {
		name  string
		b     []byte
		wants string
	}{
		{"mask with holes", reply(typeAck, optSubnetMask, 4, 255, 0, 255, 0), "holes"},
		{"no address", func() []byte { b := reply(typeAck); copy(b[16:], []byte{0, 0, 0, 0}); return b }(), "no address for a host"},
		{"broadcast", func() []byte { b := reply(typeAck); copy(b[16:], []byte{255, 255, 255, 255}); return b }(), "no address for a host"},
		{"short", reply(typeAck)[:239], "malformed"},
		{"option over the end", reply(typeAck)[:242], "malformed"},
		{"no type", append(reply(0)[:240], optEnd), "no message type"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, err := parse(test.b)
			if err == nil {
				_, err = m.lease()
			}
			if err == nil || !strings.Contains(err.Error(), test.wants) {
				t.Errorf("error %v, want one with %q", err, test.wants)
			}
		})
	}
}

// TestOverload has options in the fields of the server's and the file's name.
func TestOverload(t *testing.T) {
	b := reply(typeAck, optOverload, 1, 3)
	copy(b[108:], []byte{optRouter, 4, 10, 0, 2, 2, optEnd})
	copy(b[44:], []byte{optDNS, 4, 10, 0, 2, 3, optEnd})
	m, err := parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if m.addr(optRouter) != netip.MustParseAddr("10.0.2.2") || m.addr(optDNS) != netip.MustParseAddr("10.0.2.3") {
		t.Errorf("options %v", m.options)
	}
}

// TestFrame sends a request through the headers: what the server's side would
// take apart, the client's reader must refuse by its port.
func TestFrame(t *testing.T) {
	message := request{kind: typeDiscover, xid: 7, id: Identity{Hardware: hardware, Hostname: "h"}}.encode()
	b := frame(hardware, netip.Addr{}, message)
	if got := checksum(b[ethernetLen : ethernetLen+ipLen]); got != 0 {
		t.Errorf("the sum over the IP header is %#x", got)
	}
	if _, ok := payload(b); ok {
		t.Error("a message for the server was taken")
	}
	b[ethernetLen+ipLen+3] = clientPort
	got, ok := payload(b)
	if !ok || string(got) != string(message) {
		t.Error("a message for the client was not taken")
	}
	// Padding behind the packet, as on short Ethernet frames, is not part.
	if got, ok = payload(append(b, 0, 0, 0)); !ok || len(got) != len(message) {
		t.Errorf("with padding: %d bytes, %v", len(got), ok)
	}
}

// FuzzParse parses the bytes as they are, and as the options of a reply that
// has them in the names' fields as well.
func FuzzParse(f *testing.F) {
	f.Add(reply(typeOffer, optSubnetMask, 4, 255, 255, 255, 0, optOverload, 1, 3))
	f.Add(reply(typeNak))
	f.Add([]byte{optSubnetMask, 4, 255, 255, 255, 0, optOverload, 1, 3, optDomain, 1, 'x', optLeaseTime, 4, 0, 0, 0, 9})
	f.Add([]byte{optDNS, 8, 1, 1, 1, 1, 8, 8, 8, 8, optMTU, 2, 5, 0, optRenewalTime, 4, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		check(t, b)
		whole := reply(typeAck, b...)
		copy(whole[44:236], b)
		check(t, whole)
	})
}

func check(t *testing.T, b []byte) {
	m, err := parse(b)
	if err != nil {
		return
	}
	l, err := m.lease()
	if err != nil {
		return
	}
	if !l.Address.IsValid() || strings.ContainsAny(l.Domain, "\n \t") || len(l.DNS) > 3 ||
		l.Renew < shortest || l.Rebind < l.Renew || l.Duration < l.Rebind {
		t.Errorf("lease %+v", l)
	}
}

func FuzzPayload(f *testing.F) {
	b := frame(hardware, netip.Addr{}, reply(typeOffer))
	b[ethernetLen+ipLen+3] = clientPort
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, ok := payload(b); ok && len(m) > len(b)-ethernetLen-ipLen-udpLen {
			t.Errorf("%d bytes of message in a frame of %d", len(m), len(b))
		}
	})
}
