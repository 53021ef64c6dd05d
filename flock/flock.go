// Package flock locks files among processes (flock(2)). A lock goes with the
// open file: it ends when that is closed, and when the process does, whatever
// ends it. Programs that the process starts do not inherit it.
//
//	f, err := flock.Wait(ctx, path, flock.Exclusive, nil)
//	if err != nil {
//		return err
//	}
//	defer f.Close()
//
// Whoever holds a lock for itself may remove the file, or the folder it lies
// in: those who wait notice that what they lock has no name any more. A folder
// that is gone then is an error that is [fs.ErrNotExist].
package flock

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// How a file is locked.
const (
	Shared    = unix.LOCK_SH // with others who share it
	Exclusive = unix.LOCK_EX
)

// ErrHeld is the error of Try and TryFile when another holder is in the way.
var ErrHeld error = unix.EWOULDBLOCK

// poll is how often a held lock is tried again. flock(2) can wait by itself,
// but not together with a context.
const poll = 50 * time.Millisecond

// Take locks the file at path, which is made when missing, and waits as long as
// it takes: it is for locks that are held for moments.
func Take(path string, how int) (*os.File, error) { return open(path, how) }

// Try locks the file at path, which is made when missing, or returns ErrHeld.
func Try(path string, how int) (*os.File, error) { return open(path, how|unix.LOCK_NB) }

// Wait locks the file at path, which is made when missing, and waits until ctx
// ends, whose cause it returns then. Before it waits it calls waiting once, which
// may be nil.
func Wait(ctx context.Context, path string, how int, waiting func()) (*os.File, error) {
	for {
		f, err := Try(path, how)
		if !errors.Is(err, ErrHeld) {
			return f, err
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(poll):
		}
	}
}

func open(path string, how int) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, err
		}
		if err := File(f, how); err != nil {
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

// File locks an open file, or changes how it is locked, and waits as long as it
// takes.
func File(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// TryFile locks an open file, or returns ErrHeld.
func TryFile(f *os.File, how int) error { return File(f, how|unix.LOCK_NB) }

func sameFile(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}
