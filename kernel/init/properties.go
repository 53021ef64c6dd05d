package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/imgbuild/imgbuild/kernel/init/config"
	"github.com/imgbuild/imgbuild/kernel/init/ovfenv"
)

const (
	// drivePatience is how long the drives may take to tell what is in them. A
	// boot goes on without what a broken one holds.
	drivePatience = 10 * time.Second

	// maxDrives bounds how many devices are looked at.
	maxDrives = 64
)

// answers are the properties of an OVF environment by their keys, and the
// device that it was found on.
type answers struct {
	values map[string]string
	text   []byte // the whole document
	device string
}

// readProperties finds what the properties of the guest were answered with, and
// changes the guest accordingly. What is wrong with the answers is said on the
// console, without a value, and the guest does without them.
func (b *boot) readProperties() {
	if len(b.guest.Properties) == 0 {
		return
	}
	warn := func(err error) { b.console.line(config.LineWarning, "%v", err) }
	a, err := b.askDrives()
	switch {
	case errors.Is(err, ovfenv.ErrNone):
		b.console.line(config.LineProperties, "none")
	case err != nil:
		warn(fmt.Errorf("looking for the OVF environment: %w", err))
	default:
		b.console.line(config.LineProperties, "%d on %s", len(a.values), a.device)
		if err := keepAnswers(config.PropertiesPath, a.text, b.guest.App); err != nil {
			warn(err)
		}
	}
	for _, problem := range apply(&b.guest, a.values) {
		warn(problem)
	}
}

// askDrives is findAnswers with a bound of time: a read of a device cannot be
// called back, but it need not be waited for.
func (b *boot) askDrives() (answers, error) {
	type result struct {
		answers
		err error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		_, r.err = b.guarded(func() (action string, err error) {
			r.answers, err = findAnswers("/sys/class/block", "/dev")
			return "", err
		})
		done <- r
	}()
	select {
	case r := <-done:
		return r.answers, r.err
	case <-time.After(drivePatience):
		return answers{}, fmt.Errorf("a drive did not answer in %v", drivePatience)
	}
}

// findAnswers looks for an OVF environment on all CDs and then, for hypervisors
// and kernels that have none, on all disks. It is ovfenv.ErrNone when there is
// none, or what was wrong with the first that could not be read. Drivers have
// found their devices before init runs: there is nothing to wait for. The
// directories are /sys/class/block and /dev.
func findAnswers(sys, dev string) (answers, error) {
	names, err := drives(sys)
	if err != nil {
		return answers{}, err
	}
	trouble := error(ovfenv.ErrNone)
	for _, name := range names {
		// A drive without a medium cannot be opened, or has nothing to read.
		f, err := os.Open(filepath.Join(dev, strings.ReplaceAll(name, "!", "/")))
		if err != nil {
			continue
		}
		text, err := ovfenv.ReadCD(f)
		f.Close()
		var values map[string]string
		if err == nil {
			values, err = ovfenv.Parse(text)
		}
		if err == nil {
			return answers{values, text, name}, nil
		}
		if trouble == ovfenv.ErrNone && !errors.Is(err, ovfenv.ErrNone) {
			trouble = fmt.Errorf("%s: %w", name, err)
		}
	}
	return answers{}, trouble
}

// drives returns the kernel's names of all that may be a drive: CDs first, no
// partitions, and nothing that is made of memory or of other devices.
func drives(sys string) ([]string, error) {
	entries, err := os.ReadDir(sys)
	if err != nil {
		return nil, err
	}
	var cds, disks []string
	for _, e := range entries {
		switch path := filepath.Join(sys, e.Name()); {
		case exists(filepath.Join(path, "partition")) || !exists(filepath.Join(path, "device")):
		case strings.HasPrefix(e.Name(), "sr"):
			cds = append(cds, e.Name())
		default:
			disks = append(disks, e.Name())
		}
	}
	names := append(cds, disks...)
	return names[:min(len(names), maxDrives)], nil
}

// keepAnswers leaves the whole document to the app. It may hold passwords, so
// nobody else reads it.
func keepAnswers(path string, text []byte, app config.App) error {
	err := os.WriteFile(path, text, 0o400)
	if err == nil {
		err = os.Chown(path, app.UID, app.GID)
	}
	if err != nil {
		return fmt.Errorf("keeping the OVF environment: %w", err)
	}
	return nil
}
