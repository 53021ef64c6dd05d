package vm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/imgbuild/imgbuild/fault"
)

// Second is a second disk, for a guest that keeps its data on one. The zero
// value is none.
type Second struct {
	// Path of a raw image, which the guest changes. It is made when it is not
	// there. Without it the disk is blank, and lost when the machine ends.
	Path string
	// Size of a disk that is made, in bytes.
	Size int64
}

// any reports whether there is such a disk.
func (s Second) any() bool { return s != Second{} }

// prepareSecond finds or makes the image. One that takes no room until it is
// written to is a file with a hole.
func prepareSecond(f *files, o Options, scratch string) error {
	if !o.Second.any() {
		return nil
	}
	f.second = o.Second.Path
	if f.second == "" {
		f.second = filepath.Join(scratch, "data.raw")
	}
	if _, err := os.Stat(f.second); !errors.Is(err, os.ErrNotExist) {
		if err != nil {
			err = fault.New(fault.Input, fmt.Errorf("looking for the second disk: %w", err))
		}
		return err
	}
	if o.Second.Size <= 0 {
		return fault.New(fault.Input, fmt.Errorf("looking for the second disk: %s: %w", f.second, os.ErrNotExist),
			"make one: truncate -s 1G "+f.second)
	}
	return makeHole(f.second, o.Second.Size)
}

// secondDrive attaches it, to the controller of the first disk if that has one.
func secondDrive(o Options, path string) []string {
	if path == "" {
		return nil
	}
	device := virtio(o, "virtio-blk")
	switch o.Bus {
	case NVMe:
		device = "nvme,serial=imgbuild-data"
	case AHCI:
		device = "ide-hd,bus=ahci.1"
	case IDE:
		device = "ide-hd,bus=ide.0,unit=1"
	case SCSI, PVSCSI:
		device = "scsi-hd,bus=scsi.0"
	case LSISAS:
		device = "scsi-hd,bus=scsi.0,wwn=" + secondWWN
	case VirtioLegacy:
		device = "virtio-blk-pci," + legacy
	}
	return []string{"-drive", "if=none,id=data,format=raw,file=" + escape(path), "-device", device + ",drive=data"}
}
