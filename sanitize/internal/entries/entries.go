// Package entries reads the directory entries of deleted files, which FAT and
// exFAT leave as they were: records of 32 bytes.
package entries

import (
	"context"
	"fmt"
	"strings"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
)

// Size is that of an entry, in bytes (Microsoft FAT specification, "FAT
// Directory Structure"; exFAT specification §6.2).
const Size = 32

// Dead collects regions that hold entries of deleted files: those are stale, and
// owned by "directory …".
type Dead []sanitize.Region

// Add takes a region if it is one.
func (d *Dead) Add(g sanitize.Region) {
	if g.Class == sanitize.Stale && strings.HasPrefix(g.Owner, "directory ") {
		*d = append(*d, g)
	}
}

// Read calls fn with each entry, where it stands on the volume, and its owner. A
// sector has so many bytes.
func (d Dead) Read(ctx context.Context, r disk.Reader, sector int64, fn func(e []byte, off int64, owner string) error) error {
	buf := make([]byte, sector)
	for _, g := range d {
		for off := g.Off / Size * Size; off+Size <= g.End(); {
			if err := ctx.Err(); err != nil {
				return err
			}
			around := disk.Extent{Off: off / sector * sector, Len: sector}
			if err := sanitize.ReadFull(r, buf, around.Off); err != nil {
				return fmt.Errorf("reading %s: %w", g.Owner, err)
			}
			for ; off+Size <= min(around.End(), g.End()); off += Size {
				if err := fn(buf[off-around.Off:][:Size], off, g.Owner); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
