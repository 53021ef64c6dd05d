// Package dhcp is a DHCP client for IPv4 (RFC 2131, RFC 2132), as much of it
// as the one interface of an appliance needs.
//
// [Acquire] runs the exchange discover, offer, request, ack until it has a
// lease; [Renew] asks for more time. Both speak over a [Conn]: [OpenPacket]
// gives one that works before the interface has an address, [OpenUnicast] one for
// an interface that has. The messages themselves are built and parsed without
// any of that, so that they can be fuzzed.
//
// Not done: probing the address by ARP and declining it, releasing the lease
// (the next boot asks with the same hardware address), classless routes.
package dhcp

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrNak is returned when the server refuses: the address must not be used any
// more.
var ErrNak = errors.New("the DHCP server refused the address")

// errTimeout is returned by receive when no fitting reply came in time.
var errTimeout = errors.New("no reply from a DHCP server")

// Identity is who asks.
type Identity struct {
	Hardware [6]byte // Ethernet address
	Hostname string  // sent to the server; "" sends none
}

// Conn carries DHCP messages.
type Conn interface {
	// Send sends a message to the server, or to all servers.
	Send(message []byte) error
	// Receive waits for a message until the deadline. After it the error
	// is os.ErrDeadlineExceeded. The bytes are valid until the next call.
	Receive(deadline time.Time) ([]byte, error)
	Close() error
}

// backoff is how long to wait for a reply before the nth repetition. The
// first are short: in a virtual machine the answer comes at once or the first
// frame was lost before the switch learned the port.
func backoff(n int) time.Duration {
	switch n {
	case 0:
		return 100 * time.Millisecond
	case 1:
		return 300 * time.Millisecond
	}
	return min(time.Second<<(n-2), 32*time.Second)
}

// requests is how often an offer is asked for before a new discover.
const requests = 4

// Acquire gets a lease, however long it takes. It returns an error only when
// ctx ends or conn breaks. Replies of other exchanges and malformed ones are
// passed over.
func Acquire(ctx context.Context, conn Conn, id Identity) (Lease, error) {
	begin := time.Now()
	x := exchange{ctx: ctx, conn: conn, id: id, xid: firstXID(id, begin)}
	for n := 0; ; n++ {
		// All repetitions have one xid: a server that first looks whether
		// the address is free offers it seconds later.
		offer, err := x.ask(request{kind: typeDiscover, secs: time.Since(begin)}, backoff(n), typeOffer)
		if errors.Is(err, errTimeout) {
			continue
		} else if err != nil {
			return Lease{}, err
		}
		lease, err := x.accept(offer, begin)
		if errors.Is(err, errTimeout) || errors.Is(err, ErrNak) {
			if err := pause(ctx, backoff(n)); err != nil {
				return Lease{}, err
			}
			x.xid++
			continue
		}
		return lease, err
	}
}

// Renew asks for more time on the lease in use. It returns ErrNak when the
// server refuses, and another error when there was no answer within timeout.
// Over a conn of OpenUnicast that is a renewal with the server of the lease, over
// one of OpenPacket a rebinding with any server (RFC 2131, section 4.3.2).
func Renew(ctx context.Context, conn Conn, id Identity, old Lease, timeout time.Duration) (Lease, error) {
	now := time.Now()
	x := exchange{ctx: ctx, conn: conn, id: id, xid: firstXID(id, now)}
	ack, err := x.ask(request{kind: typeRequest, ciaddr: old.Address.Addr()}, timeout, typeAck)
	if err != nil {
		return Lease{}, err
	}
	lease, err := ack.lease()
	if err != nil {
		return Lease{}, fmt.Errorf("reading the renewed lease: %w", err)
	}
	if !lease.Server.IsValid() {
		lease.Server = old.Server
	}
	return lease, nil
}

// firstXID need not be secret, only differ between machines and exchanges.
func firstXID(id Identity, now time.Time) uint32 {
	h := uint32(now.UnixNano()/1000) * 2654435761
	for _, b := range id.Hardware {
		h = (h ^ uint32(b)) * 16777619
	}
	return h
}

// exchange is one conversation, known by its xid.
type exchange struct {
	ctx  context.Context
	conn Conn
	id   Identity
	xid  uint32
}

// accept takes up an offer.
func (x *exchange) accept(offer message, begin time.Time) (Lease, error) {
	server := offer.addr(optServerID)
	var ack message
	var err error
	for n := range requests {
		r := request{kind: typeRequest, secs: time.Since(begin), requested: offer.yiaddr, server: server}
		if ack, err = x.ask(r, backoff(n), typeAck); !errors.Is(err, errTimeout) {
			break
		}
	}
	if err != nil {
		return Lease{}, err
	}
	return ack.lease()
}

// ask sends r and waits for a usable reply of the wanted kind.
func (x *exchange) ask(r request, timeout time.Duration, want byte) (message, error) {
	if err := x.ctx.Err(); err != nil {
		return message{}, err
	}
	r.xid, r.id = x.xid, x.id
	deadline := time.Now().Add(timeout)
	if end, ok := x.ctx.Deadline(); ok && end.Before(deadline) {
		deadline = end
	}
	if err := x.conn.Send(r.encode()); err != nil {
		// A link that is not up yet refuses: the next try comes soon.
		if err := pause(x.ctx, time.Until(deadline)); err != nil {
			return message{}, err
		}
		return message{}, errTimeout
	}
	return x.receive(deadline, want)
}

// receive passes over what is not an answer to this exchange.
func (x *exchange) receive(deadline time.Time, want byte) (message, error) {
	for {
		b, err := x.conn.Receive(deadline)
		if err != nil {
			if errors.Is(err, errDeadline) {
				return message{}, errTimeout
			}
			return message{}, fmt.Errorf("receiving from the DHCP server: %w", err)
		}
		m, err := parse(b)
		if err != nil || m.xid != x.xid || m.chaddr != x.id.Hardware {
			continue
		}
		if m.kind == typeNak && want == typeAck {
			return message{}, ErrNak
		}
		if _, err := m.lease(); m.kind == want && err == nil {
			return m, nil
		}
	}
}

// pause waits, or returns the error of ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
