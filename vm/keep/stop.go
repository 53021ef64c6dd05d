package keep

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/imgbuild/imgbuild/fault"
)

// look is how often a machine is asked whether it has ended.
const look = 50 * time.Millisecond

// Stop switches a machine off by its power button and waits for its end. A
// guest that does not power off has its plug pulled, which is a fault of kind
// Check. With now, or when ctx ends, the plug is pulled at once. A machine that
// has ended already is no error.
func (m Machine) Stop(ctx context.Context, now bool) (Machine, error) {
	first := pressButton
	if now {
		first = pullPlug
	}
	if err := m.order(first); err != nil {
		return m, err
	}
	for {
		alive, err := locked(filepath.Join(m.dir, lockFile))
		if err != nil {
			return m, err
		}
		if !alive {
			return m.ended()
		}
		if sleep(ctx, look) != nil && !now {
			now = true
			if err := m.order(pullPlug); err != nil {
				return m, err
			}
			ctx = context.WithoutCancel(ctx) // it ends soon
		}
	}
}

// ended returns what there is to know of a machine whose keeper has ended.
func (m Machine) ended() (Machine, error) {
	now, _, err := read(m.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m, nil // somebody forgot it
	case err != nil:
		return m, err
	case now.End != nil && now.End.Error != "":
		return now, fault.New(fault.Check, errors.New(now.End.Error))
	}
	return now, nil
}

// sleep waits for d, or for the end of ctx, whose error it returns.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// order gives the keeper an order. The process is held before the
// lock is asked for (pidfd_open(2)): while the lock is held, the keeper lives,
// and its number is no other process's.
func (m Machine) order(what syscall.Signal) error {
	if m.Keeper == 0 {
		return fault.New(fault.Input, fmt.Errorf("the machine %s has not started yet", m.ID), "try again in a moment")
	}
	p, err := os.FindProcess(m.Keeper)
	if err != nil {
		return fault.New(fault.Environment, fmt.Errorf("finding the keeper of %s: %w", m.ID, err))
	}
	defer p.Release()
	alive, err := locked(filepath.Join(m.dir, lockFile))
	if err != nil || !alive {
		return err
	}
	if err := p.Signal(what); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fault.New(fault.Environment, fmt.Errorf("stopping %s: %w", m.ID, err))
	}
	return nil
}
