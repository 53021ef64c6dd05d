package keep

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/flock"
)

// lockParent locks the folder of all machines, which it makes when needed. It
// is held for moments only.
func lockParent(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.New(fault.Environment, fmt.Errorf("making the folder of machines: %w", err))
	}
	f, err := lockFor(filepath.Join(dir, "."+lockFile))
	if err != nil {
		return nil, err
	}
	return func() { f.Close() }, nil
}

// lockFor locks a file for this process, and waits as long as it takes.
func lockFor(path string) (*os.File, error) {
	f, err := flock.Take(path, flock.Exclusive)
	if err != nil {
		return nil, fault.New(fault.Environment, fmt.Errorf("locking: %w", err))
	}
	return f, nil
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
	err = flock.TryFile(f, flock.Shared)
	if err != nil && !errors.Is(err, flock.ErrHeld) {
		return false, fault.New(fault.Environment, fmt.Errorf("asking for the lock %s: %w", path, err))
	}
	return err != nil, nil
}
