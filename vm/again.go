package vm

import (
	"context"
	"fmt"
)

// boots is how often a guest on Xen is booted until its init runs.
const boots = 3

// Run starts the machine, hands it to use, and ends it when use returns.
//
// When a guest on Xen died before its init ran, and use has an error for it, the
// boot says nothing of the disk and there is another, three at most: QEMU's
// emulation of AMD's virtualisation (7.2) now and then spoils the flags of a
// guest that an interrupt stops. The ports of this host stay as they were, and
// [Running.Accel] tells the number of the boot. A machine that [Running.Stop]
// was asked to end is not started again.
//
// The error is that of [Machine.Start], or of the last use.
func (m *Machine) Run(ctx context.Context, use func(*Running) error) error {
	for boot := 1; ; boot++ {
		r, err := m.Start(ctx)
		if err != nil {
			return err
		}
		if boot > 1 {
			r.reason += fmt.Sprintf("; boot %d, after kernels that died before init", boot)
		}
		err = r.lend(use)
		if err == nil || boot == boots || ctx.Err() != nil || !r.spoiled() {
			return err
		}
		again := *m
		again.options.Ports = r.ports
		m = &again
	}
}

// lend hands the machine to use and ends it after that, also when use leaves by
// a panic or by the end of a test.
func (r *Running) lend(use func(*Running) error) error {
	defer func() {
		r.Kill()
		<-r.done
	}()
	return use(r)
}

// spoiled reports whether the guest's kernel died on Xen before init ran,
// unasked.
func (r *Running) spoiled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.story.timeline
	return t.Created != nil && t.FirstByte != nil && t.Up == nil && r.story.failure != "" && !r.stopped
}
