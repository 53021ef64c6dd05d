package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// punchMin is the shortest run worth a hole on a disk, in bytes. On ext4 a hole
// costs as much as writing about thirty blocks of zeros, whatever its length;
// half of that is the price for getting the space back.
const punchMin = 64 << 10

// zeroBlock is what zeros are written from.
var zeroBlock [1 << 20]byte

// File is a raw disk image in a sparse file or on a block device. It is a
// [Writer] and a [Sink]. It is safe for concurrent use.
type File struct {
	f    *os.File
	size int64

	// The last answer of NextData: what lies between asked and run is a hole.
	// To find where a run ends costs the more the longer it is.
	mu    sync.Mutex
	asked int64
	run   Extent

	holes func() Holes
}

// OpenFile opens a raw image or a block device for reading.
func OpenFile(path string) (*File, error) {
	return openFile(path, os.O_RDONLY)
}

// OpenFileRW opens a raw image or a block device for changes in place.
func OpenFileRW(path string) (*File, error) {
	return openFile(path, os.O_RDWR)
}

func openFile(path string, flag int) (*File, error) {
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return nil, err
	}
	d, err := NewFile(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return d, nil
}

// NewFile makes a disk of an open file, which Close closes.
func NewFile(f *os.File) (*File, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("opening %s: it is a folder", f.Name())
	}
	// Unlike Stat, seeking knows the size of a block device.
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("finding the size of %s: %w", f.Name(), err)
	}
	return newFile(f, size), nil
}

func newFile(f *os.File, size int64) *File {
	return &File{f: f, size: size, holes: sync.OnceValue(func() Holes { return holesOf(f, size) })}
}

// CreateFile makes an image of size bytes that is one hole. A file that is
// already there is replaced by truncation.
func CreateFile(path string, size int64) (*File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(size); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return newFile(f, size), nil
}

// Holes implements [Holer]. A file that is open for reading only has none.
func (d *File) Holes() Holes { return d.holes() }

// Size returns the size in bytes.
func (d *File) Size() int64 { return d.size }

// ReadAt implements [io.ReaderAt].
func (d *File) ReadAt(p []byte, off int64) (int, error) { return d.f.ReadAt(p, off) }

// WriteAt writes in place. It does not make the disk larger.
func (d *File) WriteAt(p []byte, off int64) (int, error) {
	if err := checkRange("writing", off, int64(len(p)), d.size); err != nil {
		return 0, err
	}
	n, err := d.f.WriteAt(p, off)
	d.forget(Extent{Off: off, Len: int64(len(p))})
	return n, err
}

// forget drops what is known of holes, unless the range lies in data.
func (d *File) forget(e Extent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e.Off < d.run.Off || e.End() > d.run.End() {
		d.asked, d.run = 0, Extent{}
	}
}

// NextData implements [Reader] by asking the filesystem for holes. Where it
// does not know of holes, everything is data.
func (d *File) NextData(off int64) (Extent, error) {
	if off < 0 || off >= d.size {
		return Extent{}, io.EOF
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if off < d.asked || off >= d.run.End() {
		run, err := d.seek(off)
		if err != nil {
			return Extent{}, err
		}
		d.asked, d.run = off, run
	}
	from := max(off, d.run.Off)
	return Extent{Off: from, Len: d.run.End() - from}, nil
}

// seek asks the filesystem.
func (d *File) seek(off int64) (Extent, error) {
	start, err := seekData(d.f, off)
	if errors.Is(err, errors.ErrUnsupported) {
		return Extent{Off: off, Len: d.size - off}, nil
	}
	if err != nil || start >= d.size {
		return Extent{}, orEOF(err)
	}
	end, err := seekHole(d.f, start)
	if err != nil {
		return Extent{}, err
	}
	return Extent{Off: start, Len: min(end, d.size) - start}, nil
}

// Punch implements [Writer]. Long runs become holes; short ones, and all on
// media without holes, are overwritten with zeros. What is a hole already
// stays one.
func (d *File) Punch(off, n int64) error {
	if err := checkRange("punching", off, n, d.size); err != nil {
		return err
	}
	if n >= d.Holes().From {
		err := punchHole(d.f, off, n)
		d.forget(Extent{Len: d.size})
		if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return d.zero(Extent{Off: off, Len: n})
}

// zero overwrites what the range holds of data.
func (d *File) zero(e Extent) error {
	zeros := zeroBlock[:min(e.Len, int64(len(zeroBlock)))]
	for off := e.Off; off < e.End(); {
		run, err := d.NextData(off)
		if errors.Is(err, io.EOF) || err == nil && run.Off >= e.End() {
			return nil
		}
		if err != nil {
			return err
		}
		n := min(run.End(), e.End(), run.Off+int64(len(zeros))) - run.Off
		if _, err := d.f.WriteAt(zeros[:n], run.Off); err != nil {
			return err
		}
		off = run.Off + n
	}
	return nil
}

// Sync makes what was written durable.
func (d *File) Sync() error { return d.f.Sync() }

// Close closes the file.
func (d *File) Close() error { return d.f.Close() }
