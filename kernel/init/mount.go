package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/imgbuild/imgbuild/kernel/init/config"
)

const (
	safe = unix.MS_NOSUID | unix.MS_NODEV

	// devicePatience is how long init waits for the partition of a mount.
	devicePatience = 10 * time.Second
)

// mountKernel mounts what the kernel shows of itself. It is the first thing
// that init does: everything else reads from there.
func mountKernel() error {
	for _, m := range []struct {
		kind, path, data string
		flags            uintptr
	}{
		{"proc", "/proc", "", safe | unix.MS_NOEXEC},
		{"sysfs", "/sys", "", safe | unix.MS_NOEXEC},
		{"devtmpfs", "/dev", "mode=0755", unix.MS_NOSUID},
	} {
		if err := mount(m.kind, m.path, m.kind, m.flags, m.data); err != nil {
			return err
		}
	}
	return nil
}

// scratch are the memory filesystems that every appliance has.
func scratch() []config.Mount {
	return []config.Mount{
		{Source: "tmpfs", Type: "tmpfs", Path: "/dev/shm", Mode: 0o1777},
		{Source: "tmpfs", Type: "tmpfs", Path: "/tmp", Mode: 0o1777},
		{Source: "tmpfs", Type: "tmpfs", Path: "/run", Mode: 0o755},
	}
}

// mountScratch mounts them. A mount of guest.json for the same path replaces
// one, say to bound its size.
func mountScratch(own []config.Mount) error {
	if err := os.MkdirAll("/dev/shm", 0o1777); err != nil {
		return fmt.Errorf("mounting /dev/shm: %w", err)
	}
	for _, m := range scratch() {
		if i := mountAt(own, m.Path); i >= 0 && own[i].Source == "tmpfs" {
			m = own[i]
		}
		if err := mount("tmpfs", m.Path, "tmpfs", safe, tmpfsOptions(m)); err != nil {
			return err
		}
	}
	return mountTerminals()
}

// mountAt returns the index of the mount of a path, or -1.
func mountAt(mounts []config.Mount, path string) int {
	for i, m := range mounts {
		if m.Path == path {
			return i
		}
	}
	return -1
}

// mountTerminals leaves out quietly what a kernel without Unix98 terminals
// does not have, and adds the names that shells' redirections expect.
func mountTerminals() error {
	if err := os.MkdirAll("/dev/pts", 0o755); err == nil {
		err = mount("devpts", "/dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=0620,ptmxmode=0666")
		if err != nil && !errors.Is(err, unix.ENODEV) {
			return err
		}
	}
	for name, target := range map[string]string{
		"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2",
	} {
		if err := os.Symlink("/proc/self/fd"+target, "/dev/"+name); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("filling /dev: %w", err)
		}
	}
	return nil
}

// mountOwn mounts what guest.json asks for. A partition may appear late.
func mountOwn(m config.Mount, app config.App, console *console) error {
	flags := uintptr(safe)
	if m.ReadOnly {
		flags |= unix.MS_RDONLY
	}
	if m.Source == "tmpfs" {
		if mountAt(scratch(), m.Path) >= 0 {
			return nil // mounted already
		}
		return mount("tmpfs", m.Path, "tmpfs", flags, tmpfsOptions(m))
	}
	device, err := findDevice(m, console)
	if err != nil {
		return fmt.Errorf("mounting %s: %w", m.Path, err)
	}
	if err := mount(device, m.Path, m.Type, flags, ""); err != nil {
		return err
	}
	if m.ReadOnly {
		return nil
	}
	if m.Grow {
		if err := growFilesystem(device, m.Path); err != nil {
			console.line(config.LineWarning, "growing the filesystem of %s: %v", m.Path, err)
		}
	}
	if err := own(m, app); err != nil {
		return fmt.Errorf("mounting %s: giving it to the app: %w", m.Path, err)
	}
	return nil
}

// findDevice finds the device of a mount, whose partition it makes as large as
// its disk, or whose filesystem it makes on a blank disk.
func findDevice(m config.Mount, console *console) (string, error) {
	const sys, dev = "/sys/class/block", "/dev"
	if m.Seed != "" {
		s, err := readSeed(m)
		if err != nil {
			return "", err
		}
		device, made, err := second(sys, dev, s)
		if err == nil && made {
			console.line(config.LineData, "made on %s", filepath.Base(device))
		}
		return device, err
	}
	uuid, ok := strings.CutPrefix(m.Source, "PARTUUID=")
	if !ok {
		return "", fmt.Errorf("source %q is neither tmpfs nor PARTUUID=…", m.Source)
	}
	device, err := waitFor(devicePatience, func() (string, error) { return partition(sys, dev, uuid) })
	if err == nil && m.Grow && !m.ReadOnly {
		if err := growPartition(sys, dev, uuid); err != nil {
			console.line(config.LineWarning, "growing the partition of %s: %v", m.Path, err)
		}
	}
	return device, err
}

// mount is mount(2). A filesystem that the kernel has mounted there already is
// as good.
func mount(source, path, kind string, flags uintptr, data string) error {
	err := unix.Mount(source, path, kind, flags, data)
	if err == nil || errors.Is(err, unix.EBUSY) {
		return nil
	}
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("mounting %s: the directory is not in the tree: %w", path, err)
	}
	return fmt.Errorf("mounting %s: %s from %s: %w", path, kind, source, err)
}

func tmpfsOptions(m config.Mount) string {
	var options []string
	if m.Mode != 0 {
		options = append(options, fmt.Sprintf("mode=%04o", m.Mode))
	}
	if m.Size != 0 {
		options = append(options, fmt.Sprintf("size=%d", m.Size))
	}
	if m.UID != 0 || m.GID != 0 {
		options = append(options, fmt.Sprintf("uid=%d,gid=%d", m.UID, m.GID))
	}
	return strings.Join(options, ",")
}

// own gives a new data filesystem to the app: one that still is as mkfs left
// it, owned by root and empty but for lost+found. Whatever was changed since
// is not touched.
func own(m config.Mount, app config.App) error {
	fresh, err := asMade(m.Path)
	if err != nil || !fresh {
		return err
	}
	uid, gid := m.UID, m.GID
	if uid == 0 && gid == 0 {
		uid, gid = app.UID, app.GID
	}
	if err := os.Chown(m.Path, uid, gid); err != nil {
		return err
	}
	if m.Mode == 0 {
		return nil
	}
	return unix.Chmod(m.Path, m.Mode)
}

func asMade(path string) (bool, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return false, err
	}
	if st.Uid != 0 || st.Gid != 0 || st.Mode&0o7777 != 0o755 {
		return false, nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(2)
	if len(names) == 0 {
		return true, nil // err is io.EOF
	}
	return len(names) == 1 && names[0] == "lost+found", err
}
