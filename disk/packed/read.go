package packed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/xi2/xz"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/fault"
)

// maxDict is the largest dictionary that is accepted, in bytes: it is memory.
const maxDict = 64 << 20

// Open unpacks the stream in the n bytes of r. The disk has at most limit
// bytes. progress, when not nil, is told how many bytes of the stream are
// done. Close gives the space back.
func Open(ctx context.Context, r io.ReaderAt, n, limit int64, progress func(done int64)) (*disk.File, error) {
	in, err := stream(ctx, r, n, progress)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	d, err := spool(in, limit)
	if err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	return d, nil
}

// Stream unpacks the stream in the n bytes of r as it is read, for those who
// want its beginning.
func Stream(ctx context.Context, r io.ReaderAt, n int64) (io.ReadCloser, error) {
	return stream(ctx, r, n, nil)
}

// Spool writes a stream of at most limit bytes into a sparse file that has no
// name. Close gives the space back.
func Spool(in io.Reader, limit int64) (*disk.File, error) { return spool(in, limit) }

func stream(ctx context.Context, r io.ReaderAt, n int64, progress func(int64)) (io.ReadCloser, error) {
	head := make([]byte, min(n, sniffed))
	if got, err := r.ReadAt(head, 0); got < len(head) {
		return nil, fmt.Errorf("reading the beginning: %w", err)
	}
	kind := KindOf(head)
	in, err := decompressor(kind, &watched{ctx: ctx, r: io.NewSectionReader(r, 0, n), progress: progress})
	if err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", kind, err)
	}
	if c, ok := in.(io.ReadCloser); ok {
		return c, nil
	}
	return io.NopCloser(in), nil
}

func decompressor(kind Kind, r io.Reader) (io.Reader, error) {
	r = bufio.NewReaderSize(r, 1<<20)
	switch kind {
	case XZ:
		return xz.NewReader(r, maxDict)
	case Zstd:
		d, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxDict))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	case Gzip:
		return gzip.NewReader(r)
	}
	return nil, errors.New("its kind is not known")
}

// watched is a stream that ends with a context.
type watched struct {
	ctx      context.Context
	r        io.Reader
	done     int64
	progress func(int64)
}

func (w *watched) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.r.Read(p)
	w.done += int64(n)
	if w.progress != nil {
		w.progress(w.done)
	}
	return n, err
}

// spool writes a stream into a file without a name, and leaves out what is
// zero.
func spool(in io.Reader, limit int64) (*disk.File, error) {
	f, err := os.CreateTemp("", "imgbuild-")
	if err != nil {
		return nil, fault.New(fault.Environment, err, "name a folder for temporary files with TMPDIR")
	}
	// The space is given back when the file is closed, even by a crash.
	err = os.Remove(f.Name())
	if err == nil {
		err = fill(f, in, limit)
	}
	if err == nil {
		var d *disk.File
		if d, err = disk.NewFile(f); err == nil {
			return d, nil
		}
	}
	return nil, errors.Join(err, f.Close())
}

// fill writes what in holds of data to where it belongs.
func fill(f *os.File, in io.Reader, limit int64) error {
	buf := make([]byte, 1<<20)
	for off := int64(0); ; {
		n, err := readUp(in, buf)
		if off+int64(n) > limit {
			return fmt.Errorf("it holds more than %d bytes", limit)
		}
		var failed error
		disk.DataRuns(buf[:n], off, func(run disk.Extent) {
			if failed == nil {
				_, failed = f.WriteAt(buf[run.Off-off:][:run.Len], run.Off)
			}
		})
		off += int64(n)
		switch {
		case failed != nil:
			return fault.New(fault.Environment, failed, "name a folder with more room for temporary files with TMPDIR")
		case errors.Is(err, io.EOF):
			return f.Truncate(off)
		case err != nil:
			return err
		}
	}
}

// readUp fills p, unlike io.ReadFull with the reader's own error: the end of a
// stream is told from one that was cut short.
func readUp(in io.Reader, p []byte) (int, error) {
	for n := 0; ; {
		got, err := in.Read(p[n:])
		if n += got; err != nil || n == len(p) {
			return n, err
		}
	}
}
