// Package sanitize answers one question about a disk image: whose byte is
// this? Scrub, audit, report and upload are all drawn from the answer.
//
// # The ledger
//
// A [Ledger] is the account of an image: regions that cover every byte exactly
// once, each with a [Class] and an owner. The partition table yields the
// regions between partitions; a filesystem driver yields regions that tile its
// partition. What no driver understands is one region of class [Unknown].
//
// # Scrub, reseal, proof
//
// Scrub zeroes what the ledger calls dead ([Free], [Slack], [Stale], [Gap])
// and lets each driver reseal the checksums around what it touched. It is
// thought through before anything is written ([Prepare]), so that the result
// can be taken as a new image ([Plan.Reader]) or made in place, in an order
// that survives being cut off ([Plan.Apply]). The
// proof takes a fresh ledger of the result: its regions must sum to the image,
// every dead region must read as zero, and the live tree must digest to what
// it was before.
//
// The rule: zero only what can be named as dead. A driver that meets something
// it does not understand says [Unknown]; that is never touched and always
// reported. A filesystem with pending work (a journal to replay, an unclean
// log) is refused.
//
// # Drivers
//
// A filesystem is one folder with a [Driver], one line in the registry, and a
// run of the contract suite in sanitize/fstest. Abilities beyond the ledger
// are separate interfaces ([Resealer], [Walker], [Surveyor], [Unit]), found by
// assertion.
//
// This package imports neither builder nor stages: it serves alone.
package sanitize

import (
	"context"
	"io/fs"
	"time"

	"github.com/imgbuild/imgbuild/disk"
)

// Class says what the bytes of a region are.
type Class uint8

// The classes. Dead classes may be zeroed; all others are left alone.
const (
	Unknown  Class = iota // nobody can say; never touched, always reported
	Live                  // the content of a file that exists
	Metadata              // structures that the filesystem needs
	BootCode              // boot sectors and boot loaders outside of files
	Free                  // dead: allocatable, not allocated
	Slack                 // dead: allocated, beyond the end of what is stored there
	Stale                 // dead: formerly metadata; journals, deleted records
	Gap                   // dead: between and around partitions and filesystems
)

// Dead reports whether bytes of this class may be zeroed.
func (c Class) Dead() bool { return c >= Free }

var classNames = [...]string{"unknown", "live", "metadata", "boot code", "free", "slack", "stale", "gap"}

// String returns the name of the class as reports show it.
func (c Class) String() string { return classNames[c] }

// Region is an extent of the image with a class and an owner.
type Region struct {
	disk.Extent
	Class Class
	// Owner is the path of a live file, or names the structure: "inode table
	// of group 3", "directory /var/log". Drivers share one string among the
	// regions of one owner.
	Owner string
}

// Driver recognises filesystems of one family.
type Driver interface {
	// Name is the family's usual name: "ext4", "erofs".
	Name() string
	// Open reads the filesystem that starts at offset 0 of r and may end
	// before r does. It returns ErrNotRecognized when the magic is not
	// there, an error that wraps ErrRefused when the filesystem must not be
	// scrubbed as it is, and another error when it is damaged.
	Open(ctx context.Context, r disk.Reader) (Filesystem, error)
}

// Filesystem is one filesystem on an image. It does not change.
type Filesystem interface {
	// Type is the exact type: "ext3", "FAT16".
	Type() string
	// Regions calls emit with regions that tile [0, size of the reader)
	// exactly: ascending, without gap or overlap. Offsets are relative to
	// the reader the driver was given.
	Regions(ctx context.Context, emit func(Region) error) error
}

// Resealer is a filesystem with checksums that cover dead bytes.
type Resealer interface {
	// Reseal recomputes the checksums of metadata in which bytes were
	// zeroed. w is the image after zeroing, with the same offsets.
	Reseal(ctx context.Context, w disk.Writer) error
}

// Walker is a filesystem whose live tree can be read.
type Walker interface {
	// Walk calls fn for each live file, directories before what is in them,
	// in the byte order of paths within a directory.
	Walk(ctx context.Context, fn func(File) error) error
}

// Surveyor is a filesystem that reads its tree and its regions in one pass.
type Surveyor interface {
	Walker
	// Survey calls file as Walk does, and emit as Regions does.
	Survey(ctx context.Context, file func(File) error, emit func(Region) error) error
}

// File is one entry of the live tree.
type File struct {
	Path     string // absolute, slash-separated; "/" is the root
	Mode     fs.FileMode
	UID, GID uint32
	Size     int64 // bytes
	ModTime  time.Time
	Target   string            // of a symbolic link
	Xattrs   map[string][]byte // by full name
	// Open returns the content of a regular file. It is nil for others. It may
	// be called after the walk has moved on, and several files may be read at
	// the same time.
	Open func() (Content, error)
}

// Content reads a file: holes and compression are resolved.
type Content interface {
	ReadAt(p []byte, off int64) (int, error)
}
