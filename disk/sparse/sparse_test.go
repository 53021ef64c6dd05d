package sparse_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/disk/sparse"
)

func TestFormat(t *testing.T) {
	disktest.TestFormat(t, disktest.Format{
		Create: func(f *os.File, size int64) (disk.Sink, error) { return sparse.NewWriter(f, size), nil },
		Open:   func(f *os.File, n int64) (disk.Reader, error) { return sparse.Open(f, n) },
	})
}

// encode returns the stream of a small disk with two runs.
func encode(t testing.TB) []byte {
	var b bytes.Buffer
	w := sparse.NewWriter(&b, 1<<20)
	for _, off := range []int64{0, 500_000} {
		if _, err := w.WriteAt(bytes.Repeat([]byte{7}, 5000), off); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSizeIsDataPlusLittle(t *testing.T) {
	// 5000 bytes at 0 touch two blocks; at 500,000 they touch two more.
	if got, want := len(encode(t)), 4*disk.BlockSize+8+48; got != want {
		t.Errorf("the stream has %d bytes, want %d", got, want)
	}
}

func TestDamage(t *testing.T) {
	good := encode(t)
	for name, change := range map[string]func([]byte) []byte{
		"cut":            func(p []byte) []byte { return p[:len(p)-1] },
		"empty":          func(p []byte) []byte { return nil },
		"longer":         func(p []byte) []byte { return append([]byte{0}, p...) },
		"index":          func(p []byte) []byte { p[len(p)-50]++; return p },
		"trailer":        func(p []byte) []byte { p[len(p)-40]++; return p },
		"too many runs":  func(p []byte) []byte { return reseal(p, 32, 1<<40) },
		"too few runs":   func(p []byte) []byte { return reseal(p, 32, 1) },
		"a smaller disk": func(p []byte) []byte { return reseal(p, 8, 4096) },
		"negative size":  func(p []byte) []byte { return reseal(p, 8, -1) },
		"negative data":  func(p []byte) []byte { return reseal(p, 16, -5) },
	} {
		p := change(bytes.Clone(good))
		if _, err := sparse.Open(bytes.NewReader(p), int64(len(p))); err == nil {
			t.Errorf("%s: opened", name)
		} else if !strings.HasPrefix(err.Error(), "opening a sparse disk: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// reseal changes a word of the trailer and corrects its checksum.
func reseal(p []byte, off int, v int64) []byte {
	tail := p[len(p)-48:]
	binary.LittleEndian.PutUint64(tail[off:], uint64(v))
	binary.LittleEndian.PutUint32(tail[44:], crc32.Checksum(tail[:44], crc32.MakeTable(crc32.Castagnoli)))
	return p
}

func FuzzOpen(f *testing.F) {
	f.Add(encode(f))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, p []byte) {
		r, err := sparse.Open(bytes.NewReader(p), int64(len(p)))
		if err != nil {
			return
		}
		var n int64
		for e, err := range disk.DataExtents(r) {
			if err != nil {
				t.Fatal(err)
			}
			n += e.Len
			if _, err := r.ReadAt(make([]byte, min(e.Len, 1<<20)), e.Off); err != nil && err != io.EOF {
				t.Fatal(err)
			}
		}
		if n > int64(len(p)) {
			t.Fatalf("%d bytes of data in a stream of %d", n, len(p))
		}
	})
}
