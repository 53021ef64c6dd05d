package vhd_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/disk/vhd"
	"github.com/imgbuild/imgbuild/fault"
)

var types = map[string]vhd.Type{"fixed": vhd.Fixed, "dynamic": vhd.Dynamic}

func TestFormat(t *testing.T) {
	for name, kind := range types {
		t.Run(name, func(t *testing.T) {
			disktest.TestFormat(t, disktest.Format{
				Create:  func(f *os.File, size int64) (disk.Sink, error) { return vhd.Create(f, size, vhd.Options{Type: kind}) },
				Open:    open,
				Check:   judge,
				MaxSize: vhd.MaxSize,
			})
		})
	}
}

func open(f *os.File, n int64) (disk.Reader, error) {
	d, err := disk.NewFile(f)
	if err != nil {
		return nil, err
	}
	return vhd.Open(d, n)
}

// judge asks qemu-img, which must also take the exact size.
func judge(t *testing.T, path string, want disk.Reader) {
	if want.Size() == 0 {
		return // QEMU refuses VHDs without capacity
	}
	qemu := disktest.Program(t, "qemu-img", "qemu-utils")
	disktest.Run(t, qemu, "compare", "-f", "vpc", "-F", "raw", path, disktest.RawFile(t, want))
	var info struct {
		VirtualSize int64 `json:"virtual-size"`
	}
	if err := json.Unmarshal([]byte(disktest.Run(t, qemu, "info", "-f", "vpc", "--output=json", path)), &info); err != nil {
		t.Fatal(err)
	}
	if rounded := (want.Size() + 511) / 512 * 512; info.VirtualSize != rounded {
		t.Errorf("qemu-img says %d bytes, want %d", info.VirtualSize, rounded)
	}
}

// TestReadsQEMU reads what qemu-img writes. Without force_size it rounds sizes
// up to whole cylinders.
func TestReadsQEMU(t *testing.T) {
	if testing.Short() {
		t.Skip("runs qemu-img many times")
	}
	qemu := disktest.Program(t, "qemu-img", "qemu-utils")
	for _, opts := range []string{"subformat=dynamic", "subformat=dynamic,force_size=on", "subformat=fixed,force_size=on"} {
		t.Run(opts, func(t *testing.T) {
			for _, s := range disktest.Samples() {
				if s.Disk.Size()%512 != 0 || s.Disk.Size() == 0 || s.Disk.Size() > 1<<34 {
					continue
				}
				path := filepath.Join(t.TempDir(), "vhd")
				disktest.Run(t, qemu, "convert", "-f", "raw", "-O", "vpc", "-o", opts, disktest.RawFile(t, s.Disk), path)
				r := openPath(t, path)
				if strings.Contains(opts, "force") {
					disktest.TestReader(t, r, s.Disk)
				} else if err := disktest.Diff(r, s.Disk); err != nil || r.Size() < s.Disk.Size() {
					t.Errorf("%s: %d bytes, %v", s.Name, r.Size(), err)
				}
			}
		})
	}
}

func openPath(t *testing.T, path string) disk.Reader {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	r, err := open(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// encode returns the file of a small disk.
func encode(t testing.TB, opts vhd.Options) []byte {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "vhd"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sink, err := vhd.Create(f, 5<<20, opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, off := range []int64{70_000, 4 << 20} {
		if _, err := sink.WriteAt([]byte(strings.Repeat("imgbuild", 10_000)), off); err != nil {
			t.Fatal(err)
		}
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	p, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestLargest writes and reads a disk of 2040 GiB, and none beyond.
func TestLargest(t *testing.T) {
	want := disk.NewMemory(vhd.MaxSize)
	for _, off := range []int64{0, 1 << 40, vhd.MaxSize - 1} {
		if _, err := want.WriteAt([]byte{1}, off); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "vhd")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sink, err := vhd.Create(f, want.Size(), vhd.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := disk.Copy(t.Context(), want, nil, sink); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	disktest.TestReader(t, openPath(t, path), want)
	_, err = vhd.Create(f, vhd.MaxSize+1, vhd.Options{})
	if err == nil || !strings.Contains(strings.Join(fault.HintsOf(err), ""), "VHDX") {
		t.Errorf("a larger disk: %v", err)
	}
}

func TestIdentity(t *testing.T) {
	id := func(p []byte) string { return string(p[len(p)-512:][68:84]) }
	plain, seeded := encode(t, vhd.Options{}), encode(t, vhd.Options{Seed: []byte("seed")})
	if id(plain) == id(seeded) || id(seeded) == id(encode(t, vhd.Options{Seed: []byte("another")})) {
		t.Error("the seed does not decide the identity")
	}
	when := time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)
	p := encode(t, vhd.Options{Type: vhd.Fixed, Created: when})
	got := p[len(p)-512:][24:28]
	// 825638400 seconds after 2000-01-01.
	if want := []byte{0x31, 0x36, 0x3e, 0x00}; !bytes.Equal(got, want) {
		t.Errorf("the time is %x, want %x", got, want)
	}
}

func TestDamage(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"empty":       func([]byte) []byte { return nil },
		"no footer":   func(p []byte) []byte { clear(p[:512]); return p[:len(p)-512] },
		"footer":      func(p []byte) []byte { p[50]++; p[len(p)-512+50]++; return p },
		"header":      func(p []byte) []byte { p[512+20]++; return p },
		"table":       func(p []byte) []byte { p[1536] = 0x7f; return p },
		"cut in half": func(p []byte) []byte { return p[:len(p)/2] },
	} {
		p := change(encode(t, vhd.Options{}))
		r, err := vhd.Open(bytes.NewReader(p), int64(len(p)))
		if err == nil {
			_, err = r.ReadAt(make([]byte, r.Size()), 0)
		}
		if err == nil && name != "cut in half" {
			t.Errorf("%s: read", name)
		}
	}
	// The copy of the footer stands in for it.
	p := encode(t, vhd.Options{})
	p = p[:len(p)-512]
	r, err := vhd.Open(bytes.NewReader(p), int64(len(p)))
	if err != nil || r.Size() != 5<<20 {
		t.Errorf("without the last footer: %v", err)
	}
	fixed := encode(t, vhd.Options{Type: vhd.Fixed})
	fixed = fixed[4096:]
	if _, err := vhd.Open(bytes.NewReader(fixed), int64(len(fixed))); err == nil {
		t.Error("a fixed disk without its beginning was opened")
	}
}

// TestDifferencing refuses a disk that needs another one.
func TestDifferencing(t *testing.T) {
	p := encode(t, vhd.Options{})
	for _, at := range []int{0, len(p) - 512} {
		foot := p[at:][:512]
		foot[63] = 4
		// The sum of all bytes is one more.
		foot[67]--
	}
	_, err := vhd.Open(bytes.NewReader(p), int64(len(p)))
	if err == nil || !strings.Contains(err.Error(), "differencing") || len(fault.HintsOf(err)) != 1 {
		t.Errorf("%v %q", err, fault.HintsOf(err))
	}
}

func FuzzOpen(f *testing.F) {
	for _, kind := range types {
		p := encode(f, vhd.Options{Type: kind})
		f.Add(p[:2048], p[len(p)-512:])
	}
	// The ends are apart from the middle, so that mutations hit both.
	f.Fuzz(func(t *testing.T, head, tail []byte) {
		p := append(append(head, make([]byte, max(0, 1<<16-len(head)))...), tail...)
		r, err := vhd.Open(bytes.NewReader(p), int64(len(p)))
		if err != nil {
			return
		}
		disktest.Walk(t, r)
	})
}
