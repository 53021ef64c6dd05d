package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/kernel/init/config"
)

// rootPatience is how long a root may take to appear.
const rootPatience = 30 * time.Second

// newRoot is where the root is mounted before it becomes the root.
const newRoot = "/newroot"

// switchRoot is init's other life, in the initramfs of a packaged kernel: it
// loads the modules without which there is no root, mounts the root and
// becomes the init that is there. It returns only when that fails.
func switchRoot(line cmdline) error {
	var initramfs config.Initramfs
	if err := readJSON(config.InitramfsPath, &initramfs); err != nil {
		return err
	}
	trouble := loadModules(initramfs.Modules)
	device, err := waitFor(rootPatience, func() (string, error) { return rootDevice(line.last("root")) })
	if err == nil {
		err = mountRoot(line, device)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("mounting the root: %w", err), trouble)
	}
	for _, path := range []string{"/proc", "/sys", "/dev"} {
		if err := unix.Mount(path, newRoot+path, "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("moving %s to the root: %w", path, err)
		}
	}
	if err := enter(newRoot); err != nil {
		return fmt.Errorf("entering the root: %w", err)
	}
	program := line.last("init")
	if program == "" {
		program = "/init"
	}
	err = unix.Exec(program, append([]string{program}, os.Args[1:]...), os.Environ())
	return fmt.Errorf("starting the root's %s: %w", program, err)
}

func readJSON(path string, v any) error {
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

// loadModules loads what it can. A driver that finds no device of its own
// refuses, which is no trouble; the rest is worth telling only when the root
// does not appear.
func loadModules(paths []string) error {
	var errs []error
	for _, path := range paths {
		err := loadModule(path)
		if err != nil && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, fmt.Errorf("loading module %s: %w", path, err))
		}
	}
	return errors.Join(errs...)
}

func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.FinitModule(int(f.Fd()), "", 0)
}

// rootDevice finds the device that root= names.
func rootDevice(root string) (string, error) {
	if uuid, ok := strings.CutPrefix(root, "PARTUUID="); ok {
		return partition("/sys/class/block", "/dev", uuid)
	}
	switch {
	case root == "":
		return "", errors.New("no root= on the kernel command line")
	case !strings.HasPrefix(root, "/dev/"):
		return "", fmt.Errorf("root=%s: neither PARTUUID=… nor a device", root)
	case !exists(root):
		return "", fmt.Errorf("root=%s: %w", root, errLate)
	}
	return root, nil
}

// mountRoot tries every filesystem that the kernel knows when the command line
// does not name one.
func mountRoot(line cmdline, device string) error {
	if err := os.MkdirAll(newRoot, 0o755); err != nil {
		return err
	}
	kinds := []string{line.last("rootfstype")}
	if kinds[0] == "" {
		text, err := os.ReadFile("/proc/filesystems")
		if err != nil {
			return err
		}
		kinds = diskFilesystems(string(text))
	}
	flags := uintptr(unix.MS_RDONLY)
	if line.has("rw") {
		flags = 0
	}
	var errs []error
	for _, kind := range kinds {
		err := unix.Mount(device, newRoot, kind, flags, line.last("rootflags"))
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("%s as %s: %w", device, kind, err))
	}
	return errors.Join(errs...)
}

// diskFilesystems returns those of /proc/filesystems that need a device.
func diskFilesystems(text string) []string {
	var kinds []string
	for line := range strings.Lines(text) {
		if kind, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "\t"); ok {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// enter empties the initramfs, whose memory is not given back otherwise, and
// makes path the root.
func enter(path string) error {
	if err := os.Chdir(path); err != nil {
		return err
	}
	var fs unix.Statfs_t
	if err := unix.Statfs("/", &fs); err != nil {
		return err
	}
	if fs.Type != unix.RAMFS_MAGIC && fs.Type != unix.TMPFS_MAGIC {
		return errors.New("the old root is no initramfs")
	}
	var st unix.Stat_t
	if err := unix.Lstat("/", &st); err != nil {
		return err
	}
	if err := empty("/", st.Dev); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return err
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	return os.Chdir("/")
}

// empty deletes what lies below dir on the filesystem dev. Mount points stay.
func empty(dir string, dev uint64) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		if st.Dev != dev {
			continue
		}
		if e.IsDir() {
			if err := empty(path, dev); err != nil {
				return err
			}
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EBUSY) {
			return err
		}
	}
	return nil
}
