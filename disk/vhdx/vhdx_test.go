package vhdx_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/disk/vhdx"
	"github.com/imgbuild/imgbuild/fault"
)

func TestFormat(t *testing.T) {
	disktest.TestFormat(t, disktest.Format{
		Create: func(f *os.File, size int64) (disk.Sink, error) { return vhdx.Create(f, size, vhdx.Options{}) },
		Open:   open,
		Check:  judge,
	})
}

func open(f *os.File, n int64) (disk.Reader, error) {
	d, err := disk.NewFile(f)
	if err != nil {
		return nil, err
	}
	return vhdx.Open(d, n)
}

// judge asks qemu-img.
func judge(t *testing.T, path string, want disk.Reader) {
	if want.Size() == 0 {
		return // QEMU refuses VHDXs without capacity
	}
	qemu := disktest.Program(t, "qemu-img", "qemu-utils")
	disktest.Run(t, qemu, "check", "-f", "vhdx", path)
	// QEMU does not know the holes of a VHDX: minutes for a disk of 2 TiB.
	if want.Size() < 1<<34 {
		compare(t, qemu, path, want)
	}
	var info struct {
		VirtualSize int64 `json:"virtual-size"`
	}
	if err := json.Unmarshal([]byte(disktest.Run(t, qemu, "info", "-f", "vhdx", "--output=json", path)), &info); err != nil {
		t.Fatal(err)
	}
	if rounded := (want.Size() + 511) / 512 * 512; info.VirtualSize != rounded {
		t.Errorf("qemu-img says %d bytes, want %d", info.VirtualSize, rounded)
	}
}

func compare(t *testing.T, qemu, path string, want disk.Reader) {
	t.Helper()
	disktest.Run(t, qemu, "compare", "-f", "vhdx", "-F", "raw", path, disktest.RawFile(t, want))
}

// TestReadsQEMU reads what qemu-img writes.
func TestReadsQEMU(t *testing.T) {
	if testing.Short() {
		t.Skip("runs qemu-img many times")
	}
	qemu := disktest.Program(t, "qemu-img", "qemu-utils")
	for _, opts := range []string{"subformat=dynamic", "subformat=fixed", "block_size=1M", "block_size=256M,log_size=4M", "block_state_zero=off"} {
		t.Run(opts, func(t *testing.T) {
			for _, s := range disktest.Samples() {
				if s.Disk.Size()%512 != 0 || s.Disk.Size() == 0 || s.Disk.Size() > 1<<34 || s.Disk.Size() > 1<<32 && strings.Contains(opts, "fixed") {
					continue
				}
				path := filepath.Join(t.TempDir(), "vhdx")
				disktest.Run(t, qemu, "convert", "-f", "raw", "-O", "vhdx", "-o", opts, disktest.RawFile(t, s.Disk), path)
				disktest.TestReader(t, openPath(t, path), s.Disk)
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
func encode(t testing.TB, opts vhdx.Options) []byte {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "vhdx"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sink, err := vhdx.Create(f, 5<<20, opts)
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

// TestLargest writes and reads a disk of 64 TiB, and none beyond.
func TestLargest(t *testing.T) {
	want := disk.NewMemory(vhdx.MaxSize)
	for _, off := range []int64{0, 1 << 40, vhdx.MaxSize - 1} {
		if _, err := want.WriteAt([]byte{1}, off); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "vhdx")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sink, err := vhdx.Create(f, want.Size(), vhdx.Options{})
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
	if _, err := vhdx.Create(f, vhdx.MaxSize+1, vhdx.Options{}); fault.KindOf(err) != fault.Usage {
		t.Errorf("a larger disk: %v", err)
	}
}

func TestSeed(t *testing.T) {
	plain, seeded := encode(t, vhdx.Options{}), encode(t, vhdx.Options{Seed: []byte("seed")})
	if bytes.Equal(plain, seeded) || !bytes.Equal(seeded, encode(t, vhdx.Options{Seed: []byte("seed")})) {
		t.Error("the seed does not decide the identity")
	}
}

// Offsets in the files that encode makes.
const (
	secondHeader = 128 << 10
	regions      = 192 << 10
	metadata     = 2 << 20
	table        = 3 << 20
)

func TestDamage(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"empty":          func([]byte) []byte { return nil },
		"no headers":     func(p []byte) []byte { clear(p[64<<10 : regions]); return p },
		"both regions":   func(p []byte) []byte { p[regions+20]++; p[regions+64<<10+20]++; return p },
		"metadata":       func(p []byte) []byte { p[metadata]++; return p },
		"required item":  func(p []byte) []byte { p[metadata+32]++; return p },
		"block size":     func(p []byte) []byte { p[metadata+64<<10+2] = 3; return p },
		"block state":    func(p []byte) []byte { p[table] = 5; return p },
		"partly present": func(p []byte) []byte { p[table] = 7; return p },
		"block far away": func(p []byte) []byte { p[table+6] = 1; return p },
		"cut":            func(p []byte) []byte { return p[:len(p)-1] },
	} {
		p := change(encode(t, vhdx.Options{}))
		r, err := vhdx.Open(bytes.NewReader(p), int64(len(p)))
		if err == nil {
			_, err = r.ReadAt(make([]byte, r.Size()), 0)
		}
		if err == nil {
			t.Errorf("%s: read", name)
		}
	}
	// One of two is enough.
	for name, change := range map[string]func([]byte){
		"header":  func(p []byte) { p[secondHeader+20]++ },
		"regions": func(p []byte) { p[regions+20]++ },
	} {
		p := encode(t, vhdx.Options{})
		change(p)
		if _, err := vhdx.Open(bytes.NewReader(p), int64(len(p))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDifferencing refuses a disk that needs another one.
func TestDifferencing(t *testing.T) {
	p := encode(t, vhdx.Options{})
	p[metadata+64<<10+4] = 2
	_, err := vhdx.Open(bytes.NewReader(p), int64(len(p)))
	if err == nil || !strings.Contains(err.Error(), "differencing") || len(fault.HintsOf(err)) != 1 {
		t.Errorf("%v %q", err, fault.HintsOf(err))
	}
}

func FuzzOpen(f *testing.F) {
	p := encode(f, vhdx.Options{})
	const piece = 512
	f.Add(p[secondHeader:][:piece], p[regions:][:piece], p[metadata:][:piece], p[metadata+64<<10:][:piece], p[table:][:piece])
	// The structures are apart, so that mutations hit each; checksums are
	// made right.
	f.Fuzz(func(t *testing.T, header, regionTable, items, values, blocks []byte) {
		p := bytes.Clone(p)
		for off, b := range map[int][]byte{secondHeader: header, regions: regionTable, metadata: items, metadata + 64<<10: values, table: blocks} {
			copy(p[off:][:piece], b)
		}
		reseal(p[secondHeader:][:4096])
		reseal(p[regions:][:64<<10])
		r, err := vhdx.Open(bytes.NewReader(p), int64(len(p)))
		if err != nil {
			return
		}
		disktest.Walk(t, r)
	})
}
