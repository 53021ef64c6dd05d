package clean

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/fault"
	"github.com/imgbuild/imgbuild/flock"
)

// Bytes that QEMU locks in an image that it has open (QEMU,
// block/file-posix.c): from RAW_LOCK_PERM_BASE on those of what it does,
// writing among them.
const (
	qemuPermBase  = 100
	qemuPermWrite = 1 // BLK_PERM_WRITE is bit 1
)

// refuseInUse refuses an image that somebody else may be writing to.
func refuseInUse(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if t := info.Mode().Type(); t != 0 && t != fs.ModeDevice {
		return errors.New("it is neither a file nor a block device")
	}
	if holder := loopDevice(f.Name()); holder != "" {
		return inUse(f, "it is attached to "+holder, "detach it with `losetup -d "+holder+"` first")
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK, Start: qemuPermBase + qemuPermWrite, Len: 1}
	if unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lock) == nil && lock.Type != unix.F_UNLCK {
		return inUse(f, "a virtual machine writes to it", "stop the machine first")
	}
	return refuseMounted(f)
}

// refuseMounted refuses a block device that is mounted, used as swap space, or
// part of another device: opening it exclusively fails for all of these, and
// for a disk one of whose partitions is so used.
func refuseMounted(f *os.File) error {
	info, err := f.Stat()
	if err != nil || info.Mode().Type() != fs.ModeDevice {
		return err
	}
	fd, err := unix.Open(f.Name(), unix.O_RDONLY|unix.O_EXCL|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EBUSY) {
		return inUse(f, "it is mounted, or part of something that is", "unmount it first")
	}
	if err != nil {
		return &fs.PathError{Op: "open", Path: f.Name(), Err: err}
	}
	return unix.Close(fd)
}

func inUse(f *os.File, why, hint string) error {
	return fault.New(fault.Input, fmt.Errorf("%s is in use: %s", f.Name(), why), hint)
}

// loopDevice returns the loop device that a file is attached to, or "".
func loopDevice(path string) string {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return ""
	}
	if path, err = filepath.Abs(path); err != nil {
		return ""
	}
	backing, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, name := range backing {
		if b, err := os.ReadFile(name); err == nil && strings.TrimSpace(string(b)) == path {
			return "/dev/" + filepath.Base(filepath.Dir(filepath.Dir(name)))
		}
	}
	return ""
}

// openInPlace opens a raw image for changes, a block device exclusively, so
// that nobody mounts it meanwhile.
func openInPlace(path string, dryRun bool) (*os.File, error) {
	flag := os.O_RDWR
	if dryRun {
		flag = os.O_RDONLY
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Type() == fs.ModeDevice {
		flag |= os.O_EXCL
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return nil, fault.New(fault.Environment, fmt.Errorf("opening it for writing: %w", err), "you need the right to write it; without --in-place reading is enough")
	}
	if err := flock.TryFile(f, flock.Exclusive); err != nil {
		f.Close()
		return nil, inUse(f, "another process has locked it", "wait until that is done")
	}
	return f, nil
}
