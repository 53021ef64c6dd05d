package disk

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// seekData returns the offset of the first data at or after off, io.EOF when
// there is none, and an error that is errors.ErrUnsupported when the
// filesystem cannot tell.
func seekData(f *os.File, off int64) (int64, error) { return seek(f, off, unix.SEEK_DATA) }

// seekHole returns the offset of the first hole at or after off; the end of
// the file is one.
func seekHole(f *os.File, off int64) (int64, error) { return seek(f, off, unix.SEEK_HOLE) }

func seek(f *os.File, off int64, whence int) (int64, error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	var at int64
	var errno error
	if err := conn.Control(func(fd uintptr) { at, errno = unix.Seek(int(fd), off, whence) }); err != nil {
		return 0, err
	}
	switch {
	case errno == nil:
		return at, nil
	case errors.Is(errno, unix.ENXIO):
		return 0, io.EOF
	case errors.Is(errno, unix.EINVAL):
		return 0, errors.ErrUnsupported
	}
	return 0, fmt.Errorf("finding holes in %s: %w", f.Name(), errno)
}

// punchHole deallocates a run. Block devices refuse runs that are not whole
// sectors; that too is errors.ErrUnsupported.
func punchHole(f *os.File, off, n int64) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var errno error
	err = conn.Control(func(fd uintptr) {
		for {
			errno = unix.Fallocate(int(fd), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
			if errno != unix.EINTR {
				return
			}
		}
	})
	if err != nil || errno == nil {
		return err
	}
	switch errno {
	case unix.EOPNOTSUPP, unix.ENOSYS, unix.EINVAL, unix.ENODEV:
		return errors.ErrUnsupported
	}
	return fmt.Errorf("punching a hole into %s: %w", f.Name(), errno)
}

// holesOf asks the filesystem of f, which is size bytes long. On tmpfs a hole
// of one page costs less than zeros; a device may keep what is punched.
func holesOf(f *os.File, size int64) Holes {
	none := Holes{From: punchMin}
	var st unix.Statfs_t
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return none
	}
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return none
	}
	grain := max(int64(st.Bsize), int64(os.Getpagesize()), BlockSize)
	// Behind the end there is nothing to lose.
	if grain&(grain-1) != 0 || punchHole(f, (size+grain-1)/grain*grain, grain) != nil {
		return none
	}
	if st.Type == unix.TMPFS_MAGIC {
		return Holes{Grain: grain, From: grain}
	}
	return Holes{Grain: grain, From: max(punchMin, grain)}
}
