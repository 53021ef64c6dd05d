package vm

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/imgbuild/imgbuild/vm/xen"
)

// Xen is what a machine has besides when its guest runs on Xen: the powers of
// dom0. It is safe for concurrent use.
type Xen struct {
	r       *Running
	log     *Console // of the hypervisor and dom0
	control *xen.Control
	created chan struct{} // closed when the guest begins to run
	reason  string        // how the guest ended, in QEMU's words; guarded by r.mu
}

// slowness is how much longer a guest may take on Xen than on QEMU alone: its
// virtualisation is emulated within an emulation.
const slowness = 10

// dom0Patience is how long dom0 may take to create the guest.
const dom0Patience = 15 * time.Minute

// deadline returns until when something must come that has a limit, and the
// limit that this is. It waits for the guest to be created.
func (x *Xen) deadline(ctx context.Context, limit time.Duration) (time.Time, time.Duration) {
	limit *= slowness
	patience := time.NewTimer(dom0Patience)
	defer patience.Stop()
	select {
	case <-x.created:
		created := x.r.Timeline().Created
		return x.r.start.Add(time.Duration(created.Wall * float64(time.Second))).Add(limit), limit
	case <-ctx.Done():
	case <-patience.C:
		x.r.fail(fmt.Sprintf("dom0 did not create the guest within %v%s", dom0Patience, quote(x.log.Tail(8))))
	}
	return time.Now(), limit
}

// Xen returns the powers of dom0 over the guest; false when the guest does not
// run on Xen.
func (r *Running) Xen() (*Xen, bool) { return r.xen, r.xen != nil }

// dom0Fatal are lines after which dom0 does nothing more: the hypervisor's
// (xen/common/domain.c, xen/drivers/char/console.c) and its kernel's.
var dom0Fatal = regexp.MustCompile(`Panic on CPU|Kernel panic - not syncing|Domain 0 (crashed|halted|shutdown)`)

func newXen(r *Running) *Xen {
	x := &Xen{r: r, created: make(chan struct{})}
	x.log = newConsole(r.since, nil, nil, func(l Line) {
		if dom0Fatal.MatchString(l.Text) && r.Timeline().Created == nil {
			r.fail("dom0 did not come up: " + l.Text + quote(x.log.Tail(8)))
		}
	})
	return x
}

// Log returns the console of the hypervisor and dom0.
func (x *Xen) Log() *Console { return x.log }

// event follows dom0.
func (x *Xen) event(e xen.Event) {
	switch e.Name {
	case "created":
		now := x.r.Now()
		x.r.tell(func(s *story) {
			if s.timeline.Created == nil {
				s.timeline.Created, s.timeline.Dom0Created = &now, e.Uptime
				close(x.created)
			}
		})
	case "failed":
		x.r.fail("dom0: " + e.Reason)
	case "ended":
		x.ended(e.Reason)
	}
}

// ended notes how the guest ended, in QEMU's words; dom0 switches the machine
// off after it.
func (x *Xen) ended(reason string) {
	x.r.mu.Lock()
	switch reason {
	case xen.ReasonPoweroff:
		x.reason = "guest-shutdown"
	case xen.ReasonReboot:
		x.reason = "guest-reset"
	case xen.ReasonCrash:
		x.reason = "guest-panic"
	}
	x.r.mu.Unlock()
	if reason == xen.ReasonCrash {
		x.r.tell(func(s *story) { s.fail("the guest crashed", false) })
	}
}

// shutdown asks the guest to power off: by Xen's own request, or by ACPI's
// button when it has no drivers for Xen.
func (x *Xen) shutdown(ctx context.Context) error {
	_, err := x.control.Run(ctx, "xl", "shutdown", "-F", "guest")
	return err
}

// setMemory is [Running.SetMemory] by xl, for the balloon driver of Xen.
func (x *Xen) setMemory(ctx context.Context, size int64) error {
	_, err := x.control.Run(ctx, "xl", "mem-set", "guest", fmt.Sprintf("%dm", size>>20))
	return err
}

// memory is [Running.Memory] as Xen counts it, in MiB. A saved guest has none,
// which is an error.
func (x *Xen) memory(ctx context.Context) (int64, error) {
	out, err := x.control.Run(ctx, "xl list guest 2>/dev/null | awk 'END { print $3 }'")
	if err != nil {
		return 0, err
	}
	mib, err := strconv.ParseInt(out, 10, 40)
	if err != nil {
		return 0, fmt.Errorf("reading the guest's memory: %w", err)
	}
	return mib << 20, nil
}

// Save stops the guest and writes it down; Restore makes it go on. In between
// it takes neither processor nor memory. That is what live migration consists
// of.
func (x *Xen) Save(ctx context.Context) error {
	_, err := x.control.Run(ctx, "save", savedDevice)
	return err
}

// Restore lets a saved guest go on where it was.
func (x *Xen) Restore(ctx context.Context) error {
	_, err := x.control.Run(ctx, "restore", savedDevice)
	return err
}

// savedDevice is where dom0 writes a saved guest: the virtio disk that says so
// by its serial number.
const savedDevice = "/dev/saved"
