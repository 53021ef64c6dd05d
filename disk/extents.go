package disk

import (
	"errors"
	"fmt"
	"io"
	"iter"
)

// DataExtents yields the runs of r that may hold data, ascending, as r tells
// them: neighbours are not merged. It ends after the first error. A reader
// that breaks the contract of NextData is an error, never an endless loop.
func DataExtents(r Reader) iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		for off := int64(0); off < r.Size(); {
			e, err := nextData(r, off)
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(e, err) || err != nil {
				return
			}
			off = e.End()
		}
	}
}

// nextData is r.NextData with its promises checked.
func nextData(r Reader, off int64) (Extent, error) {
	e, err := r.NextData(off)
	if err != nil {
		return Extent{}, err
	}
	if e.Off < off || e.Len <= 0 || e.Len > r.Size()-e.Off {
		return Extent{}, fmt.Errorf("finding data at offset %d: the reader told of %d bytes at %d", off, e.Len, e.Off)
	}
	return e, nil
}

// checkRange refuses a range that does not lie within size bytes.
func checkRange(verb string, off, n, size int64) error {
	if off < 0 || n < 0 || off > size || n > size-off {
		return fmt.Errorf("%s %d bytes at offset %d: beyond the disk of %d bytes", verb, n, off, size)
	}
	return nil
}

// orEOF is err, or io.EOF when there is none.
func orEOF(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}
