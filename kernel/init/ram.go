package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/kernel/init/config"
)

// stayInRAM makes the initramfs a root like that of a disk: the modules of a
// packaged kernel are loaded, and their memory is given back; files are of the
// time that they were packed with; and nothing can be changed from there on.
func (b *boot) stayInRAM() error {
	var ram config.RAM
	if err := readJSON(config.RAMPath, &ram); err != nil {
		return err
	}
	if exists(config.InitramfsPath) {
		var initramfs config.Initramfs
		if err := readJSON(config.InitramfsPath, &initramfs); err != nil {
			return err
		}
		_ = loadModules(initramfs.Modules) // what is missed shows: a network without a card
		for _, path := range append(initramfs.Modules, config.InitramfsPath) {
			if err := os.Remove(path); err != nil {
				return fmt.Errorf("giving memory back: %w", err)
			}
		}
	}
	if err := setTimes("/", ram.Time); err != nil {
		return fmt.Errorf("setting the times of files: %w", err)
	}
	if !b.line.has("ro") {
		return nil
	}
	if err := unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("making the root read-only: %w", err)
	}
	return nil
}

// setTimes sets the time of everything below dir on its own filesystem. That
// leaves the times of the folders above as they are.
func setTimes(dir string, seconds int64) error {
	var root unix.Stat_t
	if err := unix.Lstat(dir, &root); err != nil {
		return err
	}
	when := []unix.Timespec{{Sec: seconds}, {Sec: seconds}}
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		if st.Dev != root.Dev {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		return unix.UtimesNanoAt(unix.AT_FDCWD, path, when, unix.AT_SYMLINK_NOFOLLOW)
	})
}
