package vm

import (
	"context"
	"fmt"
	"time"

	"github.com/imgbuild/imgbuild/fault"
)

// The patience of Stop.
const (
	pressEvery  = 2 * time.Second // the button again: a guest that still boots misses it
	quitTimeout = 5 * time.Second // for QEMU to end when told to
)

// Stop ends the machine in order: by its power button, so that the app can
// finish; when the guest does not power off within Options.StopTimeout, by
// pulling the plug, which is an error of kind Check. When ctx ends before, the
// machine is killed. A machine that has ended already is no error. One without
// a power button (see [MicroVM]) has its plug pulled, which then is no error.
func (r *Running) Stop(ctx context.Context) error {
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	if !r.options.hasButton() {
		r.pull(ctx)
		return nil
	}
	orderly, cancel := context.WithTimeout(ctx, r.options.StopTimeout)
	defer cancel()
	for r.Timeline().Stopping == nil {
		// A button that cannot be pressed shows in the guest not ending.
		_ = r.press(orderly)
		if r.ended(orderly, pressEvery) {
			return nil
		}
		if orderly.Err() != nil {
			break
		}
	}
	if r.ended(orderly, r.options.StopTimeout) {
		return nil
	}
	r.pull(ctx)
	if ctx.Err() != nil {
		return fmt.Errorf("stopping the machine: %w", context.Cause(ctx))
	}
	return fault.New(fault.Check, fmt.Errorf("stopping the machine: the guest did not power off within %v%s",
		r.options.StopTimeout, quote(r.console.Tail(8))))
}

// press presses the power button; of a guest on Xen, that is xl shutdown.
func (r *Running) press(ctx context.Context) error {
	if r.xen != nil {
		return r.xen.shutdown(ctx)
	}
	return r.qmp.Powerdown(ctx)
}

// pull pulls the plug: QEMU is told to quit, and killed when it does not.
func (r *Running) pull(ctx context.Context) {
	defer r.Kill()
	ctx, cancel := context.WithTimeout(ctx, quitTimeout)
	defer cancel()
	if r.qmp.Quit(ctx) == nil {
		r.ended(ctx, quitTimeout)
	}
}

// ended waits for the end of the machine, for at most d.
func (r *Running) ended(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-r.done:
		return true
	case <-ctx.Done():
	case <-timer.C:
	}
	return false
}

// Kill ends QEMU at once. It may be called at any time, more than once.
func (r *Running) Kill() {
	// The only error is that the process has ended.
	_ = r.cmd.Process.Kill()
}
