package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// lockPoll is how often a held lock is tried again. flock(2) can wait by
// itself, but not together with a context.
const lockPoll = 50 * time.Millisecond

// flock locks the file at path, which is made when missing, with unix.LOCK_EX
// or unix.LOCK_SH; it waits unless LOCK_NB is given. The lock goes with the
// file's end, also when the process is killed.
func flock(path string, how int) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, err
		}
		if err := flockFile(f, how); err != nil {
			f.Close()
			return nil, err
		}
		// Whoever had the lock may have removed the file meanwhile; then
		// this is a lock on nothing.
		if sameFile(f, path) {
			return f, nil
		}
		f.Close()
	}
}

func flockFile(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func sameFile(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}

// guard takes the lock of the store as a whole. Whatever relies on something
// being there takes it shared; what removes, or looks for who is alive, takes
// it exclusively. It is held for moments only, and never while waiting for
// another lock.
func (s *Store) guard(how int) (release func(), err error) {
	f, err := flock(s.path("guard"), how)
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
	for {
		f, err := flock(path, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() {
				// Removed while it is held, so that lock files do not pile up.
				os.Remove(path)
				f.Close()
			}, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, s.Diagnose(fmt.Errorf("locking %s: %w", name, err))
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for %s: %w", name, context.Cause(ctx))
		case <-time.After(lockPoll):
		}
	}
}
