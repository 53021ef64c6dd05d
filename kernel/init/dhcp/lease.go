package dhcp

import (
	"net/netip"
	"time"
)

// Infinite is the duration of a lease that does not end (RFC 2131, section
// 3.3).
const Infinite = 0xffffffff * time.Second

// Lease is what a server granted.
type Lease struct {
	Address  netip.Prefix  // with the length of the subnet mask
	Router   netip.Addr    // zero when there is none
	DNS      []netip.Addr  // at most three, as many as a resolver reads
	Domain   string        // "" when there is none
	MTU      int           // bytes; 0 when the server says nothing
	Server   netip.Addr    // that granted the lease
	Duration time.Duration // of the lease, Infinite when it does not end
	Renew    time.Duration // T1: when to ask the server again
	Rebind   time.Duration // T2: when to ask any server
}

// shortest bounds how often a client asks, whatever a server grants.
const shortest = 2 * time.Second

// setTimes fills T1 and T2 from the server's words where they make sense, and
// by the fractions of RFC 2131, section 4.4.5 where they do not.
func (l *Lease) setTimes(renew, rebind time.Duration) {
	if l.Duration == 0 {
		l.Duration = time.Hour // BOOTP servers name no time
	}
	l.Duration = max(l.Duration, 2*shortest)
	if rebind <= 0 || rebind >= l.Duration {
		rebind = l.Duration - l.Duration/8
	}
	if renew <= 0 || renew >= rebind {
		renew = min(l.Duration/2, rebind)
	}
	l.Renew, l.Rebind = max(renew, shortest), max(rebind, shortest)
}

// Same reports whether applying m after l would change nothing on the
// interface or in resolv.conf.
func (l Lease) Same(m Lease) bool {
	if l.Address != m.Address || l.Router != m.Router || l.Domain != m.Domain ||
		l.MTU != m.MTU || len(l.DNS) != len(m.DNS) {
		return false
	}
	for i := range l.DNS {
		if l.DNS[i] != m.DNS[i] {
			return false
		}
	}
	return true
}
