package store

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/fault"
)

// Diagnose gives an error that is due to the machine its kind and a hint: no
// space, or no permission. Other errors, and those that have a kind already,
// are returned as they are. Runners that write to their scratch folder without
// the store's help get it from the engine.
func (s *Store) Diagnose(err error) error {
	var known *fault.Error
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.Is(err, unix.ENOSPC):
		return fault.New(fault.Environment, err,
			fmt.Sprintf("the file system of %s is full: free some space, run `imgbuild cache prune`, or set %s to a folder elsewhere", s.dir, DirEnv))
	case errors.Is(err, unix.EDQUOT):
		return fault.New(fault.Environment, err,
			fmt.Sprintf("your quota on the file system of %s is used up: remove something, run `imgbuild cache prune`, or set %s to a folder elsewhere", s.dir, DirEnv))
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM), errors.Is(err, unix.EROFS):
		return fault.New(fault.Environment, err,
			fmt.Sprintf("%s must be writable: check its owner and mode, or set %s to a folder of your own", s.dir, DirEnv))
	}
	return err
}
