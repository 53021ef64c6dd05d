package vmdk

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/internal/layer"
)

// maxDeltas bounds a chain of deltas.
const maxDeltas = 64

// Open reads the disk in the n bytes of r, which must be whole by itself.
func Open(r io.ReaderAt, n int64) (disk.Reader, error) { return OpenWith(r, n, nil) }

// OpenWith reads the disk in the n bytes of r, which are an extent or a
// descriptor. The other files that it names are opened by others. It keeps the
// grain directories in memory, 4 bytes for each 32 MiB of a disk with grains
// of the usual size.
func OpenWith(r io.ReaderAt, n int64, others disk.Opener) (disk.Reader, error) {
	o := opener{others: others}
	d, _, err := o.open(r, n)
	if err != nil {
		return nil, fmt.Errorf("opening a VMDK: %w", err)
	}
	return d, nil
}

// opener opens a disk and those it builds on.
type opener struct {
	others disk.Opener
	depth  int
}

// open returns the disk and its content ID.
func (o *opener) open(r io.ReaderAt, n int64) (disk.Reader, string, error) {
	head := make([]byte, min(n, headerSize))
	if got, err := r.ReadAt(head, 0); got < len(head) {
		return nil, "", fmt.Errorf("reading the header: %w", orUnexpected(err))
	}
	var l layer.Layer
	var d description
	var err error
	if bytes.HasPrefix(head, []byte(DescriptorMagic)) {
		if l, d, err = o.openSet(r, n); err != nil {
			return nil, "", err
		}
	} else {
		s, err := openSparse(r, n)
		if err != nil {
			return nil, "", err
		}
		if d, err = s.readDescriptor(); err != nil {
			return nil, "", err
		}
		if len(d.extents) > 1 {
			return nil, "", refuse("it is one of %d files, and not the one that describes the disk", len(d.extents))
		}
		l = s
	}
	parent, err := o.parent(d)
	if err != nil {
		return nil, "", err
	}
	return layer.Reader("VMDK", l, parent), d.cid, nil
}

// parent opens the disk that a delta changes, or returns nil. A parent that was
// changed since has another content ID.
func (o *opener) parent(d description) (disk.Reader, error) {
	if d.parentCID == noParent {
		return nil, nil
	}
	if o.others == nil || d.parentName == "" {
		return nil, refuse("it is a delta of another disk, %q, and is read on its own", d.parentName)
	}
	if o.depth++; o.depth > maxDeltas {
		return nil, errors.New("it is a delta of a delta, and so on without end")
	}
	f, err := o.others(d.parentName, "raw")
	if err != nil {
		return nil, fmt.Errorf("opening its parent: %w", err)
	}
	parent, cid, err := o.open(f, f.Size())
	if err != nil {
		return nil, fmt.Errorf("opening its parent %s: %w", d.parentName, err)
	}
	if cid != d.parentCID {
		return nil, refuse("its parent %s was changed: its content is %s, not %s", d.parentName, cid, d.parentCID)
	}
	return parent, nil
}

// openSet opens the extents that a descriptor names.
func (o *opener) openSet(r io.ReaderAt, n int64) (layer.Layer, description, error) {
	if n > maxDescriptor {
		return nil, description{}, fmt.Errorf("its descriptor has %d bytes", n)
	}
	text := make([]byte, n)
	if got, err := r.ReadAt(text, 0); int64(got) < n {
		return nil, description{}, fmt.Errorf("reading the descriptor: %w", orUnexpected(err))
	}
	d, err := parseDescriptor(string(text))
	if err != nil {
		return nil, d, err
	}
	set := &extentSet{}
	for _, e := range d.extents {
		l, err := o.openExtent(e)
		if err != nil {
			return nil, d, err
		}
		set.add(l, e.size)
		if set.size > maxCapacity*disk.SectorSize {
			return nil, d, fmt.Errorf("its extents have %d bytes and more", set.size)
		}
	}
	return set, d, nil
}

// openExtent opens one extent.
func (o *opener) openExtent(e extentLine) (layer.Layer, error) {
	if e.access == "NOACCESS" {
		return nil, refuse("a part of it may not be read")
	}
	switch e.kind {
	case "ZERO":
		return zeroExtent(e.size), nil
	case "FLAT", "VMFS", "SPARSE":
	default: // SESPARSE, VMFSSPARSE, VMFSRDM and devices
		return nil, refuse("a part of it, %q, is of type %s", e.name, e.kind)
	}
	if o.others == nil {
		return nil, refuse("it is a descriptor that names other files, %q first", e.name)
	}
	f, err := o.others(e.name, "raw")
	if err != nil {
		return nil, fmt.Errorf("opening its extent: %w", err)
	}
	if e.kind == "SPARSE" {
		s, err := openSparse(f, f.Size())
		if err != nil {
			return nil, fmt.Errorf("opening its extent %s: %w", e.name, err)
		}
		if s.size < e.size {
			return nil, fmt.Errorf("its extent %s has %d bytes of %d", e.name, s.size, e.size)
		}
		return s, nil
	}
	if e.off > f.Size() || e.size > f.Size()-e.off {
		return nil, fmt.Errorf("its extent %s is cut short: it has %d bytes of %d", e.name, f.Size(), e.off+e.size)
	}
	return flatExtent{f, e.off, e.size}, nil
}

func orUnexpected(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
