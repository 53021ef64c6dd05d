package stages

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/output/source"
)

// readBack opens a file that an output wrote, by the readers of its container
// and archive, and compares each disk in it with the one that was audited: what
// holds the same bytes has the same verdict. Files without a disk pass.
func readBack(ctx context.Context, audited disk.Reader, path, format string) error {
	if !mayHoldDisk(path, format) {
		return nil
	}
	src, err := source.Open(ctx, path)
	if err != nil {
		return err
	}
	defer src.Close()
	for _, d := range src.Disks {
		r, container, err := d.Open()
		if err != nil {
			return err
		}
		// Any file can be a raw disk; only these formats have one.
		if container == "raw" && d.Name == "" && format != "raw" && format != "xen" {
			continue
		}
		if err := disk.Compare(ctx, audited, r); err != nil {
			if d.Name != "" {
				err = fmt.Errorf("%s: %w", d.Name, err)
			}
			return err
		}
	}
	return nil
}

// mayHoldDisk spares the files of a format that lie beside its disk.
func mayHoldDisk(path, format string) bool {
	switch format {
	case "kernel", "netboot", "oci", "uki":
		return false
	case "ovf": // the descriptor leads to the disk
		return filepath.Ext(path) == ".ovf"
	case "xen":
		return filepath.Ext(path) == ".raw"
	}
	return true
}
