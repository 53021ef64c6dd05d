package audit_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/sanitize"
	"github.com/imgbuild/imgbuild/sanitize/audit"
	"github.com/imgbuild/imgbuild/sanitize/audit/carve"
)

// zeros is a reader of n bytes that compress very well.
func zeros(n int64) io.Reader { return io.LimitReader(zeroReader{}, n) }

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// bomb is a zip file whose members unpack to much more than is looked at, with
// a secret in the first.
func bomb(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := range 4 {
		w, err := z.Create(string(rune('a' + i)))
		if err == nil && i == 0 {
			_, err = w.Write([]byte(" " + token(1) + "\n"))
		}
		if err == nil {
			_, err = io.Copy(w, zeros(4<<20))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestBomb bounds what is unpacked, live and deleted, and says so.
func TestBomb(t *testing.T) {
	b, opts := bomb(t), options(t, "none")
	opts.MaxUnpacked = 8 << 20
	path := filesystem(t, map[string][]byte{"live.zip": b})
	report := run(t, open(t, path), opts)
	if got := secrets(report); len(got) != 1 {
		t.Errorf("the secrets of the live one are %v", got)
	}
	if len(report.Problems) != 1 || report.Problems[0].Path != "/live.zip" {
		t.Errorf("the problems are %+v", report.Problems)
	}
	m := disk.NewMemory(8 << 20)
	for at := int64(4096); at < m.Size()-int64(len(b)); at += int64(len(b)) {
		if _, err := m.WriteAt(b, at); err != nil {
			t.Fatal(err)
		}
	}
	if got := secrets(run(t, m, opts)); len(got) < 2 {
		t.Errorf("the secrets of the deleted ones are %v", got)
	}
}

// TestClaims shows that files which claim to be huge are no larger than the
// disk, and that the disk may be huge itself.
func TestClaims(t *testing.T) {
	const size = 1 << 50
	m := disk.NewMemory(size)
	sevenZip := append([]byte("7z\xbc\xaf\x27\x1c\x00\x04"), make([]byte, 24)...)
	le := binary.LittleEndian
	le.PutUint64(sevenZip[12:], math.MaxUint64)
	le.PutUint64(sevenZip[20:], math.MaxUint64)
	elf := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 57)...)
	le.PutUint16(elf[16:], 2)
	le.PutUint32(elf[20:], 1)
	le.PutUint64(elf[40:], 1<<58)
	box := append([]byte("\x00\x00\x00\x01mdat"), bytes.Repeat([]byte{0x0f}, 8)...)
	for i, b := range [][]byte{sevenZip, elf, box, []byte("RIFF\xff\xff\xff\xffWAVE"), []byte("SQLite format 3\x00\x00\x01\x01\x01\x00\x40\x20\x20")} {
		if _, err := m.WriteAt(b, int64(i)<<40); err != nil {
			t.Fatal(err)
		}
	}
	report := run(t, m, options(t, "none"))
	for _, f := range report.Findings {
		if f.Length <= 0 || f.End() > size {
			t.Errorf("%s at byte %d has %d bytes", f.Rule, f.Offset, f.Length)
		}
	}
	if len(report.Maps[0].Cells) > 1024 {
		t.Errorf("the map has %d cells", len(report.Maps[0].Cells))
	}
}

// TestRandom scans noise with the anchors of all types in it, and what is cut
// off: nothing fails, and memory stays flat.
func TestRandom(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	const size = 24 << 20
	m := disk.NewMemory(size)
	b := make([]byte, size)
	for i := 0; i+8 <= size; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], random.Uint64())
	}
	for at := 0; at < size-64; {
		for _, typ := range carve.Types() {
			for _, a := range typ.Anchors {
				if at < size-64 {
					copy(b[at:], a.Text)
				}
				at += 50 + random.IntN(400)
			}
		}
	}
	if _, err := m.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
	opts := options(t, "none")
	opts.MaxFindings = 1000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	report := run(t, m, opts)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
		t.Errorf("the report holds %d bytes", grown)
	}
	for _, s := range report.Sums {
		if s.Sure > s.Recoverable || s.Recoverable < 0 || s.Bytes < 0 {
			t.Errorf("the sum is %+v", s)
		}
	}
}

// FuzzRun audits small disks of any content.
func FuzzRun(f *testing.F) {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write([]byte(" " + token(1)))
	w.Close()
	f.Add(z.Bytes(), uint16(1))
	f.Add([]byte(" "+token(2)+"\n"), uint16(4090))
	f.Add([]byte("PK\x03\x04"), uint16(100))
	f.Fuzz(func(t *testing.T, b []byte, at uint16) {
		m := disk.NewMemory(int64(at) + int64(len(b)) + 1000)
		if _, err := m.WriteAt(b, int64(at)); err != nil {
			t.Fatal(err)
		}
		opts := options(t, "public")
		opts.All = len(b)%2 == 0
		r, err := audit.Run(context.Background(), m, opts)
		if err != nil {
			t.Skip(err) // a damaged partition table
		}
		sum := int64(0)
		for _, c := range r.Classes {
			sum += c.Bytes
		}
		if sum != m.Size() {
			t.Errorf("classes sum to %d of %d", sum, m.Size())
		}
		for _, x := range r.Findings {
			if x.Offset < 0 || x.Offset > m.Size() || x.Class > sanitize.Gap {
				t.Errorf("the finding is %+v", x)
			}
		}
	})
}
