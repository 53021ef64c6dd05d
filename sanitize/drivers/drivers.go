// Package drivers is the registry of filesystem drivers. A new driver is one
// line here.
package drivers

import (
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/ext"
	"github.com/imgbuild/imgbuild/sanitize/fat"
)

// All returns every driver, in the order in which a ledger asks them. Those
// with a checksum or a long magic come first; FAT, which has hardly a magic,
// last.
func All() []sanitize.Driver {
	return []sanitize.Driver{
		ext.Driver{},
		fat.Driver{},
	}
}
