package stages

import (
	"context"
	"fmt"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/output/source"
)

// readBack opens a file in which an output wrote the disk, by the readers of its
// container and archive, and compares each disk in it with the one that was
// audited: what holds the same bytes has the same verdict. Behind it come the
// further disks of the appliance, in formats that have them.
func readBack(ctx context.Context, audited disk.Reader, further []disk.Reader, path string) error {
	src, err := source.Open(ctx, path)
	if err != nil {
		return err
	}
	defer src.Close()
	want := append([]disk.Reader{audited}, further...)
	for i, d := range src.Disks {
		if i == len(want) {
			return fmt.Errorf("%s is one disk too many", d.Name)
		}
		r, _, err := d.Open()
		if err != nil {
			return err
		}
		if err := disk.Compare(ctx, want[i], r); err != nil {
			if d.Name != "" {
				err = fmt.Errorf("%s: %w", d.Name, err)
			}
			return err
		}
	}
	return nil
}
