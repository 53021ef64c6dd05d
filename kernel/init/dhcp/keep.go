package dhcp

import (
	"context"
	"errors"
	"time"
)

// ErrExpired is returned by Keep when the time of the lease is over and no
// server gave more.
var ErrExpired = errors.New("the DHCP lease expired")

// retryAfter is how long a client waits at least before it repeats a renewal
// (RFC 2131, section 4.4.5).
const retryAfter = time.Minute

// Keep renews a lease of the interface with that index until it is lost: it
// returns ErrNak, ErrExpired, or the error of ctx. Each renewed lease is given
// to renewed, which applies what has changed.
func Keep(ctx context.Context, index int, id Identity, lease Lease, renewed func(Lease)) error {
	for {
		granted := time.Now()
		if lease.Duration == Infinite {
			<-ctx.Done()
			return ctx.Err()
		}
		if err := pause(ctx, lease.Renew); err != nil {
			return err
		}
		next, err := extend(ctx, index, id, lease, granted)
		if err != nil {
			return err
		}
		lease = next
		renewed(lease)
	}
}

// extend asks the server from T1 on, any server from T2 on, until the end.
func extend(ctx context.Context, index int, id Identity, lease Lease, granted time.Time) (Lease, error) {
	t2, end := granted.Add(lease.Rebind), granted.Add(lease.Duration)
	for {
		now := time.Now()
		if !now.Before(end) {
			return Lease{}, ErrExpired
		}
		rebind, until := !now.Before(t2), t2
		if rebind {
			until = end
		}
		wait := nextTry(until.Sub(now))
		next, err := renewOnce(ctx, index, id, lease, rebind, wait)
		if err == nil || errors.Is(err, ErrNak) {
			return next, err
		}
		if err := pause(ctx, time.Until(now.Add(wait))); err != nil {
			return Lease{}, err
		}
	}
}

// nextTry is half of what remains, but no less than the least interval, and
// no more than what remains.
func nextTry(remaining time.Duration) time.Duration {
	return min(max(remaining/2, retryAfter), remaining)
}

func renewOnce(ctx context.Context, index int, id Identity, lease Lease, rebind bool, timeout time.Duration) (Lease, error) {
	var conn Conn
	var err error
	if rebind || !lease.Server.IsValid() {
		conn, err = OpenPacket(index, id.Hardware, lease.Address.Addr())
	} else {
		conn, err = OpenUnicast(index, id.Hardware, lease.Address.Addr(), lease.Server)
	}
	if err != nil {
		return Lease{}, err
	}
	defer conn.Close()
	return Renew(ctx, conn, id, lease, timeout)
}
