package sanitize

import (
	"context"

	"github.com/imgbuild/imgbuild/disk"
)

// Walker returns the volume's filesystem when its live tree can be read.
func (v Volume) Walker() (Walker, bool) {
	w, ok := v.fs.(Walker)
	return w, ok
}

// Rememberer returns the volume's filesystem when it can tell the names of
// deleted files.
func (v Volume) Rememberer() (Rememberer, bool) {
	r, ok := v.fs.(Rememberer)
	return r, ok
}

// Rememberer is a filesystem that can tell what its dead metadata still says
// of deleted files.
type Rememberer interface {
	// Remnants calls fn for each name that is found in directories, journals
	// and tables, in ascending order of places within each. One name may be
	// found many times. It stops with the error of fn.
	Remnants(ctx context.Context, fn func(Remnant) error) error
}

// Remnant is a name that a deleted file left.
type Remnant struct {
	// Name is the file's name, without its folder.
	Name string
	// Off is where the name stands, in bytes from the start of the volume.
	Off int64
	// Where says in which structure: "directory /var", "journal".
	Where string
}

// Locator is a [Content] that knows where on the volume it is stored.
type Locator interface {
	// Span returns the longest stretch known to be stored in one way that
	// holds the file's byte off. ok is false at and beyond the end.
	Span(off int64) (s Span, ok bool)
}

// Span is how a stretch of a file is stored.
type Span struct {
	// Extent is the stretch, in bytes of the file.
	disk.Extent
	// At is where it is stored, in bytes from the start of the volume; -1
	// when it is not stored as it reads.
	At int64
	// Hole is set where nothing is stored: it reads as zero.
	Hole bool
}
