package disk_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"pgregory.net/rapid"
)

const mib = 1 << 20

func create(t testing.TB, size int64) *disk.File {
	t.Helper()
	f, err := disk.CreateFile(filepath.Join(t.TempDir(), "disk"), size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestReaders(t *testing.T) {
	for _, s := range disktest.Samples() {
		t.Run(s.Name, func(t *testing.T) {
			f := create(t, s.Disk.Size())
			if err := disk.Copy(t.Context(), s.Disk, nil, f); err != nil {
				t.Fatal(err)
			}
			disktest.TestReader(t, f, s.Disk)
			disktest.TestReader(t, s.Disk, f)
		})
	}
}

func TestIsZero(t *testing.T) {
	for n := range 300 {
		p := make([]byte, n)
		if !disk.IsZero(p) {
			t.Errorf("%d zeros: not zero", n)
		}
		for i := range p {
			p[i] = 1
			if disk.IsZero(p) {
				t.Errorf("byte %d of %d: zero", i, n)
			}
			p[i] = 0
		}
	}
}

// TestWriters compares disks with a plain slice under random changes.
func TestWriters(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, mib).Draw(t, "size")
		f, err := disk.CreateFile(filepath.Join(dir, "disk"), size+4*mib)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		off := rapid.Int64Range(0, mib).Draw(t, "section")
		all := []disk.Writer{
			disk.NewMemory(size), disk.SectionWriter(f, off, size), disk.SectionWriter(disk.NewMemory(size+off), off, size+100),
			disk.NewOverlay(disk.NewMemory(size)), disk.NewOverlay(disk.Section(f, off+size, size)),
		}
		model := make([]byte, size)
		for range rapid.IntRange(0, 12).Draw(t, "steps") {
			at := rapid.Int64Range(0, size-1).Draw(t, "at")
			n := rapid.Int64Range(0, size-at).Draw(t, "n")
			punch := rapid.Bool().Draw(t, "punch")
			p := bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, int(n))
			if punch {
				clear(p)
			}
			copy(model[at:], p)
			for _, w := range all {
				if punch {
					err = w.Punch(at, n)
				} else {
					_, err = w.WriteAt(p, at)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		all = append(all, readOnly{disk.Concat(disk.Section(all[0], 0, size/3), disk.Section(all[0], size/3, size))})
		for i, w := range all {
			got := make([]byte, size)
			if _, err := w.ReadAt(got, 0); err != nil && err != io.EOF || !bytes.Equal(got, model) {
				t.Fatalf("disk %d differs (%v)", i, err)
			}
			for e, err := range disk.DataExtents(w) {
				if err != nil {
					t.Fatal(err)
				}
				clear(got[e.Off:e.End()])
			}
			if !disk.IsZero(got) {
				t.Fatalf("disk %d has data outside of its extents", i)
			}
		}
	})
}

// readOnly is a reader among writers.
type readOnly struct{ disk.Reader }

func (readOnly) WriteAt([]byte, int64) (int, error) { return 0, io.ErrClosedPipe }
func (readOnly) Punch(int64, int64) error           { return io.ErrClosedPipe }

func TestBounds(t *testing.T) {
	for name, w := range map[string]disk.Writer{
		"file": create(t, mib), "memory": disk.NewMemory(mib), "overlay": disk.NewOverlay(disk.NewMemory(mib)), "section": disk.SectionWriter(disk.NewMemory(2*mib), 0, mib),
	} {
		for _, x := range []disk.Extent{{Off: mib, Len: 1}, {Off: mib - 1, Len: 2}, {Off: -1, Len: 1}, {Off: 1 << 62, Len: 10}} {
			if _, err := w.WriteAt(make([]byte, x.Len), x.Off); err == nil {
				t.Errorf("%s: wrote %v", name, x)
			}
			if err := w.Punch(x.Off, x.Len); err == nil {
				t.Errorf("%s: punched %v", name, x)
			}
		}
	}
}

// TestPunchGivesBack looks at the blocks that the file takes.
func TestPunchGivesBack(t *testing.T) {
	f := create(t, 4*mib)
	if _, err := f.WriteAt(bytes.Repeat([]byte{1}, 4*mib), 0); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{f.Punch(1000, 3*mib), f.Punch(3*mib+500_000, 4096), f.Sync()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	e, err := f.NextData(4096)
	if err != nil || e.Off < 3*mib-4096 {
		t.Skipf("the filesystem of %s makes no holes (%v, %v)", os.TempDir(), e, err)
	}
	// Punching what is a hole allocates nothing.
	if err := f.Punch(2*mib, 4096); err != nil {
		t.Fatal(err)
	}
	if e, err := f.NextData(4096); err != nil || e.Off < 3*mib-4096 {
		t.Errorf("a short punch filled a hole: %v, %v", e, err)
	}
}

func TestOpenFile(t *testing.T) {
	if _, err := disk.OpenFile(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := disk.OpenFile(t.TempDir()); err == nil {
		t.Error("opened a folder")
	}
	f := create(t, mib)
	if _, err := f.WriteAt([]byte("x"), 77); err != nil {
		t.Fatal(err)
	}
}

// failing is a sink that takes n writes.
type failing struct{ n int }

func (f *failing) WriteAt(p []byte, _ int64) (int, error) {
	if f.n--; f.n < 0 {
		return 0, syscall.ENOSPC
	}
	return len(p), nil
}

func (f *failing) Close() error { return nil }

func TestCopyAll(t *testing.T) {
	src := disk.NewMemory(40 * mib)
	for off := int64(0); off < src.Size(); off += 100_000 {
		if _, err := src.WriteAt([]byte{1, 2, 3}, off); err != nil {
			t.Fatal(err)
		}
	}
	a, b := disk.NewMemory(src.Size()), disk.NewMemory(src.Size())
	var last int64
	progress := func(done int64) {
		if done < last {
			t.Errorf("progress went from %d to %d", last, done)
		}
		last = done
	}
	errs := disk.CopyAll(t.Context(), src, progress, a, &failing{n: 5}, b)
	if errs[0] != nil || !errors.Is(errs[1], syscall.ENOSPC) || errs[2] != nil {
		t.Fatalf("errors %v", errs)
	}
	if last != src.Size() {
		t.Errorf("progress ended at %d", last)
	}
	for _, got := range []disk.Reader{a, b} {
		if err := disktest.Diff(got, src); err != nil {
			t.Error(err)
		}
	}
	err := disk.Copy(t.Context(), src, nil, &failing{}, &failing{n: 1})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("all sinks failing: %v", err)
	}
}

// broken is a disk with a bad sector.
type broken struct{ *disk.Memory }

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > 5*mib {
		return 0, syscall.EIO
	}
	return b.Memory.ReadAt(p, off)
}

func TestCopySourceFails(t *testing.T) {
	src := disk.NewMemory(10 * mib)
	if _, err := src.WriteAt(bytes.Repeat([]byte{1}, 10*mib), 0); err != nil {
		t.Fatal(err)
	}
	for i, err := range disk.CopyAll(t.Context(), broken{src}, nil, disk.NewMemory(10*mib), disk.NewMemory(10*mib)) {
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("sink %d: %v", i, err)
		}
	}
}

// liar breaks the contract of NextData.
type liar struct{ *disk.Memory }

func (liar) NextData(off int64) (disk.Extent, error) { return disk.Extent{Off: off, Len: 0}, nil }

func TestCopyEndsOnLiars(t *testing.T) {
	if err := disk.Copy(t.Context(), liar{disk.NewMemory(mib)}, nil, disk.NewMemory(mib)); err == nil {
		t.Error("no error")
	}
}

func BenchmarkIsZero(b *testing.B) {
	p := make([]byte, 64<<10)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		if !disk.IsZero(p) {
			b.Fatal("not zero")
		}
	}
}

func BenchmarkDataRuns(b *testing.B) {
	p := make([]byte, mib)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		disk.DataRuns(p, 0, func(disk.Extent) {})
	}
}

func BenchmarkCopySparse2TiB(b *testing.B) {
	samples := disktest.Samples()
	src := samples[len(samples)-1].Disk
	for b.Loop() {
		if err := disk.Copy(b.Context(), src, nil, disk.NewMemory(src.Size())); err != nil {
			b.Fatal(err)
		}
	}
}

// TestHoles holds a file to what it says of holes: a grain that is punched is
// skipped, and the size stays.
func TestHoles(t *testing.T) {
	for _, dir := range []string{t.TempDir(), "/dev/shm"} {
		path := filepath.Join(dir, "imgbuild-holes")
		f, err := disk.CreateFile(path, 4*mib+100)
		if err != nil {
			t.Skipf("no file in %s: %v", dir, err)
		}
		t.Cleanup(func() { f.Close(); os.Remove(path) })
		if _, err := f.WriteAt(bytes.Repeat([]byte{1}, 4*mib+100), 0); err != nil {
			t.Fatal(err)
		}
		h := f.Holes()
		if info, err := os.Stat(path); err != nil || info.Size() != f.Size() {
			t.Errorf("asking for holes made %s %v, %v", path, info, err)
		}
		if h.From <= 0 || h.Grain > h.From {
			t.Errorf("%s: %+v", dir, h)
		}
		if h.Grain == 0 {
			t.Skipf("the filesystem of %s makes no holes", dir)
		}
		off := (mib + h.Grain - 1) / h.Grain * h.Grain
		if err := f.Punch(off, h.From); err != nil {
			t.Fatal(err)
		}
		if e, err := f.NextData(off); err != nil || e.Off != off+h.From {
			t.Errorf("%s: the next data is at %v (%v), want it at byte %d", dir, e, err, off+h.From)
		}
		r, err := disk.OpenFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if h := r.Holes(); h.Grain != 0 {
			t.Errorf("a file that is only read: %+v", h)
		}
		r.Close()
	}
}
