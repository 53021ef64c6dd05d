package store

import (
	"context"
	"fmt"
	"os"

	"github.com/opencontainers/go-digest"

	"github.com/imgbuild/imgbuild/flock"
)

// guard takes the lock of the store as a whole. Whatever relies on something
// being there takes it shared; what removes, or looks for who is alive, takes
// it exclusively. It is held for moments only, and never while waiting for
// another lock.
func (s *Store) guard(how int) (release func(), err error) {
	f, err := flock.Take(s.path("guard"), how)
	if err != nil {
		return nil, s.Diagnose(fmt.Errorf("locking the store: %w", err))
	}
	return func() { f.Close() }, nil
}

// Lock takes the lock of that name, which one holder has among all processes
// that use the store. When it must wait it calls waiting once, which may be
// nil. The lock ends by unlock, or with the process.
func (s *Store) Lock(ctx context.Context, name string, waiting func()) (unlock func(), err error) {
	path := s.path("locks", digest.FromString(name).Encoded())
	f, err := flock.Wait(ctx, path, flock.Exclusive, waiting)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("waiting for %s: %w", name, err)
	}
	if err != nil {
		return nil, s.Diagnose(fmt.Errorf("locking %s: %w", name, err))
	}
	return func() {
		// Removed while it is held, so that lock files do not pile up.
		os.Remove(path)
		f.Close()
	}, nil
}
