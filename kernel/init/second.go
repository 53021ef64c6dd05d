package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/imgbuild/imgbuild/kernel/init/config"
	"github.com/imgbuild/imgbuild/kernel/init/seed"
)

// settle is how long init waits for a disk that holds the data before it makes
// them on a blank one: disks may appear late.
const settle = time.Second

// instanceStore is what EC2 calls disks that lose their bytes when the machine
// stops. They are blank at first, and no place for data.
const instanceStore = "Amazon EC2 NVMe Instance Storage"

// second finds the disk that holds a data filesystem of its own, the one of the
// seed, and makes the filesystem when there is none: on the one disk that is
// blank, or on one where a power cut ended that before. It returns the device,
// and whether it made the filesystem.
func second(sys, dev string, s *seed.Seed) (device string, made bool, err error) {
	began := time.Now()
	device, err = waitFor(devicePatience, func() (string, error) {
		at, found, err := search(sys, dev, s.ID)
		if err != nil || found == seed.Made {
			return at, err
		}
		if found == seed.Other && time.Since(began) < settle {
			return "", errLate
		}
		if at == "" {
			if at, err = blank(sys, dev); err != nil {
				return "", err
			}
		}
		made = true
		return at, sow(at, s)
	})
	return device, made, err
}

// search looks at all disks. The device is empty when none has the filesystem or
// a beginning of it; two that have it are an error, for one of them is a copy.
func search(sys, dev string, id seed.ID) (device string, found seed.Find, err error) {
	disks, err := wholeDisks(sys, dev)
	if err != nil {
		return "", seed.Other, err
	}
	for _, d := range disks {
		f, err := os.Open(d.device)
		if err != nil {
			continue // a drive without a medium
		}
		what, err := seed.Look(f, id)
		f.Close()
		if err != nil || what == seed.Other {
			continue // what cannot be read is not the data
		}
		if device != "" {
			return "", seed.Other, fmt.Errorf("%s and %s both hold the data: detach one", filepath.Base(device), filepath.Base(d.device))
		}
		device, found = d.device, what
	}
	return device, found, nil
}

// blank returns the one disk that is blank.
func blank(sys, dev string) (string, error) {
	disks, err := wholeDisks(sys, dev)
	if err != nil {
		return "", err
	}
	var found, others []string
	for _, d := range disks {
		ok, err := isBlank(d)
		switch {
		case err != nil:
			others = append(others, fmt.Sprintf("%s (%v)", filepath.Base(d.device), err))
		case ok:
			found = append(found, d.device)
		default:
			others = append(others, filepath.Base(d.device))
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", fmt.Errorf("there is more than one blank disk: attach one for the data, not %d", len(found))
	}
	if len(others) == 0 {
		return "", fmt.Errorf("attach a second disk, a blank one, for the data: %w", errLate)
	}
	return "", fmt.Errorf("no disk holds the data, and none is blank to make them on (left alone: %s): %w", strings.Join(others, ", "), errLate)
}

func isBlank(d whole) (bool, error) {
	f, err := os.Open(d.device)
	if err != nil {
		return false, err
	}
	defer f.Close()
	return seed.Blank(f, d.size)
}

// sow makes the filesystem on a disk.
func sow(device string, s *seed.Seed) error {
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	end, err := f.Seek(0, 2)
	if err != nil {
		return err
	}
	if end < s.Size {
		return fmt.Errorf("%s has %d bytes, and the data need %d", filepath.Base(device), end, s.Size)
	}
	return errors.Join(s.Sow(f), f.Close())
}

// whole is a disk that could hold a filesystem.
type whole struct {
	device string
	size   int64 // bytes
}

// wholeDisks lists the disks of the machine, but for those that the kernel sees
// partitions on, that cannot be written to, whose medium can be taken out, or
// that do not last. What has no device is no disk: loop and RAM devices.
func wholeDisks(sys, dev string) ([]whole, error) {
	entries, err := os.ReadDir(sys)
	if err != nil {
		return nil, fmt.Errorf("looking for disks: %w", err)
	}
	var disks []whole
	for _, e := range entries {
		at := filepath.Join(sys, e.Name())
		sectors, err := readNumber(filepath.Join(at, "size"))
		if err != nil || sectors == 0 || !exists(filepath.Join(at, "device")) || exists(filepath.Join(at, "partition")) {
			continue
		}
		parts, _ := filepath.Glob(filepath.Join(at, "*/partition"))
		flagged := slices.ContainsFunc([]string{"ro", "removable"}, func(name string) bool {
			set, err := readNumber(filepath.Join(at, name))
			return err == nil && set != 0
		})
		model, _ := os.ReadFile(filepath.Join(at, "device/model"))
		if len(parts) > 0 || flagged || strings.TrimSpace(string(model)) == instanceStore {
			continue
		}
		disks = append(disks, whole{filepath.Join(dev, strings.ReplaceAll(e.Name(), "!", "/")), sectors * 512})
	}
	return disks, nil
}

// readSeed reads the seed that a mount names.
func readSeed(m config.Mount) (*seed.Seed, error) {
	f, err := os.Open(m.Seed)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return seed.Read(f)
}
