package keep

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/fault"
)

// lockParent locks the folder of all machines, which it makes when needed. It
// is held for moments only.
func lockParent(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.New(fault.Environment, fmt.Errorf("making the folder of machines: %w", err))
	}
	f, err := lockFor(filepath.Join(dir, "."+lockFile), unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	return func() { f.Close() }, nil
}

// lockFor opens a file and locks it (flock(2)). The lock ends when the file is
// closed, or with the process: the descriptor is not inherited.
func lockFor(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fault.New(fault.Environment, fmt.Errorf("locking: %w", err))
	}
	for {
		err := unix.Flock(int(f.Fd()), how)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			f.Close()
			return nil, fault.New(fault.Environment, fmt.Errorf("locking %s: %w", path, err))
		}
		return f, nil
	}
}

// locked reports whether a process holds the lock for itself. It asks for a
// shared one, so that two who ask do not take each other for the holder.
func locked(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fault.New(fault.Environment, fmt.Errorf("asking for a lock: %w", err))
	}
	defer f.Close()
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EWOULDBLOCK:
			return true, nil
		case err != nil:
			return false, fault.New(fault.Environment, fmt.Errorf("asking for the lock %s: %w", path, err))
		}
		return false, nil
	}
}
