package ntfs

import (
	"context"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
)

// Editor changes a volume where no program does.
type Editor struct {
	t *testing.T
	f *filesystem
	w disk.Writer
}

// Edit opens the volume in w.
func Edit(t *testing.T, w disk.Writer) *Editor {
	t.Helper()
	fsys, err := Driver{}.Open(context.Background(), w)
	if err != nil {
		t.Fatal(err)
	}
	return &Editor{t, fsys.(*filesystem), w}
}

// Find returns the record of the file at path.
func (e *Editor) Find(path string) int64 {
	e.t.Helper()
	num := int64(-1)
	err := e.f.descend(context.Background(), func(n *file, p string) ([]entry, error) {
		if p == path {
			num = n.num
		}
		var entries []entry
		if !n.isDir() {
			return nil, nil
		}
		_, err := e.f.index(context.Background(), n, nameIndex, func(x []entry) { entries = append(entries, x...) }, nil)
		return entries, err
	})
	if err != nil || num < 0 {
		e.t.Fatalf("finding %s: record %d, %v", path, num, err)
	}
	return num
}

// Attribute changes bytes in the header of an attribute of record num.
func (e *Editor) Attribute(num int64, kind uint32, name string, off int64, b []byte) {
	e.t.Helper()
	r, err := e.f.record(num)
	if err != nil {
		e.t.Fatal(err)
	}
	for _, a := range r.attrs {
		if a.kind == kind && a.name == name {
			e.Record(num, a.off+off, b)
			return
		}
	}
	e.t.Fatalf("record %d has no attribute %#x", num, kind)
}

// Record changes bytes of record num. They must not be where a sequence number
// is.
func (e *Editor) Record(num, off int64, b []byte) {
	e.t.Helper()
	if end := off + int64(len(b)); end%stride > stride-2 || end/stride != off/stride {
		e.t.Fatalf("bytes %d to %d of record %d are protected", off, end, num)
	}
	if err := e.f.mft.write(e.w, b, num*e.f.recordSize+off); err != nil {
		e.t.Fatal(err)
	}
}

// Stored returns record num as it is stored.
func (e *Editor) Stored(num int64) []byte {
	e.t.Helper()
	b := make([]byte, e.f.recordSize)
	if err := e.f.mft.read(b, num*e.f.recordSize); err != nil {
		e.t.Fatal(err)
	}
	return b
}

// Content changes bytes of the unnamed stream of record num, as it is stored.
func (e *Editor) Content(num, off int64, b []byte) {
	e.t.Helper()
	n, err := e.f.file(num)
	if err == nil {
		err = n.stream(attrData, "").write(e.w, b, off)
	}
	if err != nil {
		e.t.Fatal(err)
	}
}

// The types that tests name.
const (
	AttrData       = attrData
	AttrVolumeInfo = attrVolumeInfo
	OffInitialized = offInitialized
	OffAttrFlags   = offAttrFlags
)

// Decompress is for tests of the algorithm.
var Decompress = decompress

// StreamLen is for tests of the algorithm.
var StreamLen = streamLen
