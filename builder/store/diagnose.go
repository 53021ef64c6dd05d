package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/fault"
)

// Diagnose gives an error that is due to the machine its kind and a hint: no
// space anywhere, or no permission in the store. Other errors, and those that
// have a kind already, are returned as they are. Runners that write to their
// scratch folder without the store's help get it from the engine.
func (s *Store) Diagnose(err error) error {
	var known *fault.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	path := pathOf(err)
	ours := path == "" || path == s.dir || strings.HasPrefix(path, s.dir+"/")
	hint := ""
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		lack := "is full"
		if errors.Is(err, unix.EDQUOT) {
			lack = "leaves you no quota"
		}
		if ours {
			hint = fmt.Sprintf("the file system of %s %s: free some space, run `imgbuild cache prune`, or set %s to a folder elsewhere", s.dir, lack, DirEnv)
		} else {
			hint = fmt.Sprintf("the file system of %s %s: free some space", path, lack)
		}
	case ours && (errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS)):
		hint = fmt.Sprintf("%s must be writable: check its owner and mode, or set %s to a folder of your own", s.dir, DirEnv)
	default:
		return err
	}
	return fault.New(fault.Environment, err, hint)
}

// pathOf returns the file that an error is about, or "".
func pathOf(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Path
	}
	var l *os.LinkError
	if errors.As(err, &l) {
		return l.New
	}
	return ""
}
