package disktest

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
)

// Format is a container format under test.
type Format struct {
	// Create returns a sink that encodes a disk of size bytes into f.
	Create func(f *os.File, size int64) (disk.Sink, error)
	// Open returns the disk in f, which is n bytes long.
	Open func(f *os.File, n int64) (disk.Reader, error)
	// Check, which may be nil, is asked about each file that was made: it is
	// where real programs judge. In short mode it sees only a few.
	Check func(t *testing.T, path string, want disk.Reader)
	// MaxSize, if given, is the largest disk that the format holds, in bytes.
	// Larger ones must be refused.
	MaxSize int64
	// Slow, if given, is the size in bytes above which samples are left out:
	// because the format cannot be read without reading its holes, say.
	Slow int64
}

// TestFormat checks that what a format writes it reads back, for all samples;
// that the file does not depend on how the writes were split; and that the
// sink refuses what breaks the contract of disk.Sink.
func TestFormat(t *testing.T, f Format) {
	for _, s := range Samples() {
		if f.Slow > 0 && s.Disk.Size() > f.Slow {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			if f.MaxSize > 0 && s.Disk.Size() > f.MaxSize {
				f.testTooLarge(t, s.Disk.Size())
				return
			}
			path := filepath.Join(t.TempDir(), "disk")
			whole := f.encode(t, path, s.Disk.Size(), func(sink disk.Sink) error {
				return disk.Copy(t.Context(), s.Disk, nil, sink)
			})
			split := f.encode(t, path+".split", s.Disk.Size(), func(sink disk.Sink) error {
				return writeSplit(sink, s.Disk)
			})
			if !bytes.Equal(whole, split) {
				t.Error("the file depends on how the writes were split")
			}
			file, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			info, err := file.Stat()
			if err != nil {
				t.Fatal(err)
			}
			r, err := f.Open(file, info.Size())
			if err != nil {
				t.Fatal(err)
			}
			TestReader(t, r, s.Disk)
			if f.Check != nil && (!testing.Short() || s.Name == "mixed" || s.Name == "odd size") {
				f.Check(t, path, s.Disk)
			}
		})
	}
	t.Run("contract", f.testContract)
}

func (f Format) testTooLarge(t *testing.T, size int64) {
	file, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := f.Create(file, size); err == nil {
		t.Errorf("%d bytes passed", size)
	}
}

// encode makes a file and returns its digest.
func (f Format) encode(t *testing.T, path string, size int64, write func(disk.Sink) error) []byte {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	sink, err := f.Create(file, size)
	if err != nil {
		t.Fatal(err)
	}
	if err := write(sink); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	return digest(t, file)
}

// digest covers the data and its place, so that large holes cost nothing.
func digest(t *testing.T, file *os.File) []byte {
	t.Helper()
	d, err := disk.NewFile(file)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	buf := make([]byte, 1<<20)
	for e, err := range disk.DataExtents(d) {
		if err != nil {
			t.Fatal(err)
		}
		for off := e.Off; off < e.End(); off += int64(len(buf)) {
			p := buf[:min(int64(len(buf)), e.End()-off)]
			if _, err := io.ReadFull(io.NewSectionReader(d, off, int64(len(p))), p); err != nil {
				t.Fatal(err)
			}
			disk.DataRuns(p, off, func(run disk.Extent) {
				h.Write([]byte(disk.Extent{Off: run.Off}.String()))
				h.Write(p[run.Off-off:][:run.Len])
			})
		}
	}
	h.Write([]byte(disk.Extent{Off: d.Size()}.String()))
	return h.Sum(nil)
}

// writeSplit writes the data of src, and some of the zeros, in odd pieces.
func writeSplit(sink disk.Sink, src disk.Reader) error {
	rnd := rand.New(rand.NewPCG(7, 7))
	next := int64(0)
	for e, err := range disk.DataExtents(src) {
		if err != nil {
			return err
		}
		from := max(next, e.Off-rnd.Int64N(200_000))
		to := min(src.Size(), e.End()+rnd.Int64N(5000))
		for off := from; off < to; {
			n := min(1+rnd.Int64N(150_000), to-off)
			p, err := readPadded(src, off, n)
			if err != nil {
				return err
			}
			if _, err := sink.WriteAt(p, off); err != nil {
				return err
			}
			off += n
		}
		next = max(next, to)
	}
	return nil
}

func (f Format) testContract(t *testing.T) {
	const size = 1 << 20
	open := func(t *testing.T) disk.Sink {
		file, err := os.Create(filepath.Join(t.TempDir(), "disk"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		sink, err := f.Create(file, size)
		if err != nil {
			t.Fatal(err)
		}
		return sink
	}
	one := []byte{1}
	t.Run("descending", func(t *testing.T) {
		sink := open(t)
		if _, err := sink.WriteAt(one, 5000); err != nil {
			t.Fatal(err)
		}
		if _, err := sink.WriteAt(one, 100); err == nil {
			t.Error("a write before the last one passed")
		}
		sink.Close()
	})
	t.Run("beyond the end", func(t *testing.T) {
		sink := open(t)
		if _, err := sink.WriteAt([]byte{1, 2}, size-1); err == nil {
			t.Error("a write beyond the end passed")
		}
		sink.Close()
	})
	t.Run("after close", func(t *testing.T) {
		sink := open(t)
		if err := sink.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := sink.WriteAt(one, 0); err == nil {
			t.Error("a write after Close passed")
		}
	})
	t.Run("negative size", func(t *testing.T) {
		file, err := os.Create(filepath.Join(t.TempDir(), "disk"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if sink, err := f.Create(file, -1); err == nil && sink.Close() == nil {
			t.Error("a negative size passed")
		}
	})
}
