package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A guest with less memory than scarce, in bytes, keeps only a part of its
// programs in the page cache and reads the rest again and again. There a page
// that was read ahead costs one that is in use: disks are read by frugal KiB at
// a time instead of 128 (Documentation/ABI/stable/sysfs-block, read_ahead_kb).
const (
	scarce = 80 << 20
	frugal = "16"
)

// totalMemory returns the memory that the kernel has to give, in bytes.
func totalMemory() uint64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil { // it has no other error than EFAULT
		return scarce
	}
	return uint64(info.Totalram) * uint64(info.Unit)
}

// fitReadahead makes a guest with little memory, in bytes, read its disks
// frugally. sys is /sys/block.
func fitReadahead(sys string, memory uint64) error {
	if memory >= scarce {
		return nil
	}
	disks, err := filepath.Glob(filepath.Join(sys, "*/queue/read_ahead_kb"))
	for _, path := range disks {
		err = errors.Join(err, os.WriteFile(path, []byte(frugal), 0o200))
	}
	if err != nil {
		return fmt.Errorf("fitting what is read ahead to a small memory: %w", err)
	}
	return nil
}
