package layer

import (
	"errors"
	"io"

	"github.com/imgbuild/imgbuild/disk"
)

// InFile tells the kind of the n bytes at off in the file that holds a layer,
// and of how many of them: where the file has a hole they are zero. Of a file
// that does not know its holes all is data.
func InFile(r io.ReaderAt, off, n int64) (Kind, int64, error) {
	d, ok := r.(disk.Reader)
	if !ok {
		return Data, n, nil
	}
	e, err := d.NextData(off)
	switch {
	case errors.Is(err, io.EOF) || err == nil && e.Off >= off+n:
		return Zero, n, nil
	case err != nil:
		return 0, 0, err
	case e.Off > off:
		return Zero, e.Off - off, nil
	}
	return Data, min(e.Len, n), nil
}
