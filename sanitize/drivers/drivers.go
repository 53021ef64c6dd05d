// Package drivers is the registry of filesystem drivers. A new driver is one
// line here.
package drivers

import (
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/btrfs"
	"github.com/imgbuild/imgbuild/sanitize/erofs"
	"github.com/imgbuild/imgbuild/sanitize/exfat"
	"github.com/imgbuild/imgbuild/sanitize/ext"
	"github.com/imgbuild/imgbuild/sanitize/fat"
	"github.com/imgbuild/imgbuild/sanitize/iso9660"
	"github.com/imgbuild/imgbuild/sanitize/lvm"
	"github.com/imgbuild/imgbuild/sanitize/ntfs"
	"github.com/imgbuild/imgbuild/sanitize/squashfs"
	"github.com/imgbuild/imgbuild/sanitize/swap"
	"github.com/imgbuild/imgbuild/sanitize/xfs"
)

// All returns every driver, in the order in which a ledger asks them. FAT,
// which has hardly a magic, comes last.
func All() []sanitize.Driver {
	base := filesystems()
	return append(base[:len(base)-1:len(base)-1], lvm.Driver{Volumes: base}, base[len(base)-1])
}

func filesystems() []sanitize.Driver {
	return []sanitize.Driver{
		btrfs.Driver{},
		erofs.Driver{},
		exfat.Driver{},
		ext.Driver{},
		ntfs.Driver{},
		squashfs.Driver{},
		swap.Driver{},
		xfs.Driver{},
		iso9660.Driver{},
		fat.Driver{},
	}
}
