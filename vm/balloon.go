package vm

import (
	"context"
	"fmt"

	"github.com/imgbuild/imgbuild/fault"
)

// balloon attaches the device through which the guest's memory is lent to the
// host and given back. Pages that the guest does not use are reported and given
// back at once, without a word from the host; a guest that would run out of
// memory takes it back from the balloon before it kills a process.
func balloon(o Options) []string {
	if !o.hasBalloon() || o.Boot.onXen() {
		return nil
	}
	return []string{"-device", virtio(o, "virtio-balloon") + ",id=balloon,free-page-reporting=on,deflate-on-oom=on"}
}

// hasBalloon reports whether the machine has a balloon: one with virtio as it is
// today has the device, and Xen has its own.
func (o Options) hasBalloon() bool { return o.Bus == Virtio }

// SetMemory asks the guest to do with size bytes of memory; the balloon takes
// the rest. It returns at once: the guest follows as it can, see
// [Running.Memory]. More than [Options.Memory] is a fault of kind Usage, and so
// is a machine without a balloon.
func (r *Running) SetMemory(ctx context.Context, size int64) error {
	switch {
	case !r.options.hasBalloon():
		return fault.New(fault.Usage, fmt.Errorf("the machine has no balloon: its bus is %s", r.options.Bus), "choose bus virtio")
	case size < minMemory || size > r.options.Memory:
		return fault.New(fault.Usage, fmt.Errorf("%d bytes of memory are not between %d and %d", size, minMemory, r.options.Memory))
	}
	if r.xen != nil {
		return r.xen.setMemory(ctx, size)
	}
	return r.qmp.Do(ctx, "balloon", map[string]int64{"value": size}, nil)
}

// Memory returns how much memory the balloon leaves to the guest now, in bytes.
func (r *Running) Memory(ctx context.Context) (int64, error) {
	if r.xen != nil {
		return r.xen.memory(ctx)
	}
	var info struct {
		Actual int64 `json:"actual"`
	}
	err := r.qmp.Do(ctx, "query-balloon", nil, &info)
	return info.Actual, err
}
