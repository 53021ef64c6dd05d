package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/imgbuild/imgbuild/kernel/init/parttable"
)

// errLate is returned by a search that may succeed later, when more devices
// have appeared.
var errLate = errors.New("no such device")

// waitFor repeats a search until it finds something, fails for good, or the
// time is over.
func waitFor(patience time.Duration, search func() (string, error)) (string, error) {
	deadline := time.Now().Add(patience)
	for {
		found, err := search()
		if err == nil || !errors.Is(err, errLate) {
			return found, err
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("%w after %v", err, patience)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// partition finds the device of a partition by its PARTUUID. The directories
// are /sys/class/block and /dev.
func partition(sys, dev, partuuid string) (string, error) {
	p, err := locate(sys, dev, partuuid)
	if err != nil {
		return "", err
	}
	return filepath.Join(dev, p.name), nil
}

// place is where a partition was found: by the kernel's names of its disk and
// of itself, and its number.
type place struct {
	disk, name string
	number     int
}

// locate looks for a partition on all disks.
func locate(sys, dev, partuuid string) (place, error) {
	disks, err := os.ReadDir(sys)
	if err != nil {
		return place{}, fmt.Errorf("looking for PARTUUID=%s: %w", partuuid, err)
	}
	var trouble error
	for _, disk := range disks {
		if exists(filepath.Join(sys, disk.Name(), "partition")) {
			continue
		}
		number, err := partitionNumber(sys, dev, disk.Name(), partuuid)
		if errors.Is(err, parttable.ErrNotFound) {
			continue
		}
		if err != nil {
			trouble = fmt.Errorf(" (%s: %w)", disk.Name(), err)
			continue
		}
		if name := numbered(sys, disk.Name(), number); name != "" {
			return place{disk.Name(), name, number}, nil
		}
	}
	if trouble != nil {
		return place{}, fmt.Errorf("PARTUUID=%s: %w%w", partuuid, errLate, trouble)
	}
	return place{}, fmt.Errorf("PARTUUID=%s: %w", partuuid, errLate)
}

func partitionNumber(sys, dev, disk, partuuid string) (int, error) {
	// A drive without a medium has no bytes to look at.
	if size, err := readNumber(filepath.Join(sys, disk, "size")); err == nil && size == 0 {
		return 0, parttable.ErrNotFound
	}
	f, err := os.Open(filepath.Join(dev, strings.ReplaceAll(disk, "!", "/")))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return parttable.Find(f, blockSize(sys, disk), partuuid)
}

// blockSize returns a disk's logical block size, in bytes.
func blockSize(sys, disk string) int64 {
	block, err := readNumber(filepath.Join(sys, disk, "queue/logical_block_size"))
	if err != nil {
		return 512
	}
	return block
}

// numbered returns the kernel's name of a disk's partition, or "".
func numbered(sys, disk string, number int) string {
	entries, err := os.ReadDir(filepath.Join(sys, disk))
	if err != nil {
		return ""
	}
	for _, e := range entries {
		n, err := readNumber(filepath.Join(sys, disk, e.Name(), "partition"))
		if err == nil && n == int64(number) {
			return strings.ReplaceAll(e.Name(), "!", "/")
		}
	}
	return ""
}

func readNumber(path string) (int64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
