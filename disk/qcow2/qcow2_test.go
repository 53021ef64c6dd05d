package qcow2_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/disk/qcow2"
	"github.com/imgbuild/imgbuild/fault"
	"github.com/klauspost/compress/zstd"
	"github.com/lima-vm/go-qcow2reader"
	lima "github.com/lima-vm/go-qcow2reader/image/qcow2"
)

var compressions = map[string]qcow2.Compression{"none": qcow2.None, "deflate": qcow2.Deflate, "zstd": qcow2.Zstd}

func open(f *os.File, n int64) (disk.Reader, error) { return qcow2.Open(f, n) }

func TestFormat(t *testing.T) {
	for name, c := range compressions {
		t.Run(name, func(t *testing.T) {
			disktest.TestFormat(t, disktest.Format{
				Create: func(f *os.File, size int64) (disk.Sink, error) {
					return qcow2.Create(f, size, qcow2.Options{Compression: c})
				},
				Open:  open,
				Check: judge,
			})
		})
	}
}

// judge asks qemu-img and an independent reader.
func judge(t *testing.T, path string, want disk.Reader) {
	qemu := disktest.Program(t, "qemu-img", "qemu-utils")
	disktest.Run(t, qemu, "check", "-f", "qcow2", path)
	raw := disktest.RawFile(t, want)
	disktest.Run(t, qemu, "compare", "-f", "qcow2", "-F", "raw", path, raw)
	var info struct {
		VirtualSize int64 `json:"virtual-size"`
	}
	if err := json.Unmarshal([]byte(disktest.Run(t, qemu, "info", "--output=json", path)), &info); err != nil {
		t.Fatal(err)
	}
	if rounded := (want.Size() + 511) / 512 * 512; info.VirtualSize != rounded {
		t.Errorf("qemu-img says %d bytes, want %d", info.VirtualSize, rounded)
	}
	if want.Size() == 0 {
		return // go-qcow2reader wants an L1 table even when it is empty
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lima.SetDecompressor(lima.CompressionTypeZstd, func(r io.Reader) (io.ReadCloser, error) {
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	})
	img, err := qcow2reader.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	for e, err := range disk.DataExtents(want) {
		if err != nil {
			t.Fatal(err)
		}
		got, b := make([]byte, e.Len), make([]byte, e.Len)
		if _, err := img.ReadAt(got, e.Off); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if _, err := want.ReadAt(b, e.Off); err != nil && !errors.Is(err, io.EOF) || !bytes.Equal(got, b) {
			t.Fatalf("go-qcow2reader differs in %v (%v)", e, err)
		}
	}
}

// TestReadsQEMU reads all that qemu-img can write.
func TestReadsQEMU(t *testing.T) {
	if testing.Short() {
		t.Skip("runs qemu-img many times")
	}
	qemu := disktest.Program(t, "qemu-img", "qemu-utils")
	for _, args := range []string{
		"", "-c", "-c -o compression_type=zstd", "-o compat=0.10", "-c -o compat=0.10", "-o extended_l2=on",
		"-c -o extended_l2=on", "-o extended_l2=on,cluster_size=16k", "-o cluster_size=512", "-o cluster_size=2M",
		"-c -o cluster_size=2M,compression_type=zstd", "-o preallocation=metadata", "-o lazy_refcounts=on",
		"-S 512", "-o refcount_bits=1",
	} {
		t.Run(args, func(t *testing.T) {
			for _, s := range disktest.Samples() {
				if s.Disk.Size()%512 != 0 || s.Disk.Size() > 1<<34 || s.Disk.Size() > 1<<24 && strings.Contains(args, "=") {
					continue
				}
				path := filepath.Join(t.TempDir(), "qcow2")
				cmd := append([]string{"convert", "-f", "raw", "-O", "qcow2"}, strings.Fields(args)...)
				disktest.Run(t, qemu, append(cmd, disktest.RawFile(t, s.Disk), path)...)
				r := openPath(t, path)
				disktest.TestReader(t, r, s.Disk)
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
	r, err := qcow2.Open(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestZeroClusters reads clusters that were written and then discarded.
func TestZeroClusters(t *testing.T) {
	qemu, io := disktest.Program(t, "qemu-img", "qemu-utils"), disktest.Program(t, "qemu-io", "qemu-utils")
	want := disk.NewMemory(8 << 20)
	for _, off := range []int64{0, 300 << 10} {
		if _, err := want.WriteAt(bytes.Repeat([]byte{0x5a}, 100<<10), off); err != nil {
			t.Fatal(err)
		}
	}
	for _, opts := range []string{"compat=1.1", "extended_l2=on"} {
		path := filepath.Join(t.TempDir(), "qcow2")
		disktest.Run(t, qemu, "create", "-f", "qcow2", "-o", opts, path, "8M")
		disktest.Run(t, io, "-c", "write -P 0x5a 0 400k", "-c", "write -z 100k 200k", "-c", "write -P 1 4M 64k", "-c", "discard 4M 64k", path)
		disktest.TestReader(t, openPath(t, path), want)
	}
}

func TestRefusals(t *testing.T) {
	qemu := disktest.Program(t, "qemu-img", "qemu-utils")
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	disktest.Run(t, qemu, "create", "-f", "qcow2", path("base"), "8M")
	disktest.Run(t, qemu, "create", "-f", "qcow2", "-b", path("base"), "-F", "qcow2", path("another file"))
	disktest.Run(t, qemu, "create", "-f", "qcow2", "-o", "data_file="+path("data"), path("data"+".qcow2"), "8M")
	disktest.Run(t, qemu, "create", "-f", "qcow2", "--object", "secret,id=s,data=x", "-o",
		"encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10", path("encrypted"), "8M")
	for name, word := range map[string]string{"another file": "another file", "data.qcow2": "another file", "encrypted": "encrypted"} {
		f, err := os.Open(path(name))
		if err != nil {
			t.Fatal(err)
		}
		_, err = qcow2.Open(f, 1<<20)
		f.Close()
		if err == nil || !strings.Contains(err.Error(), word) || fault.KindOf(err) != fault.Input || len(fault.HintsOf(err)) != 1 {
			t.Errorf("%s: %v %q", name, err, fault.HintsOf(err))
		}
	}
}

// TestSnapshots reads the active state of an image that has others.
func TestSnapshots(t *testing.T) {
	qemu, io := disktest.Program(t, "qemu-img", "qemu-utils"), disktest.Program(t, "qemu-io", "qemu-utils")
	path := filepath.Join(t.TempDir(), "qcow2")
	disktest.Run(t, qemu, "create", "-f", "qcow2", path, "8M")
	disktest.Run(t, io, "-c", "write -P 1 0 1M", path)
	disktest.Run(t, qemu, "snapshot", "-c", "first", path)
	disktest.Run(t, io, "-c", "write -P 2 512k 1M", path)
	want := disk.NewMemory(8 << 20)
	for b, e := range map[byte]disk.Extent{1: {Off: 0, Len: 512 << 10}, 2: {Off: 512 << 10, Len: 1 << 20}} {
		if _, err := want.WriteAt(bytes.Repeat([]byte{b}, int(e.Len)), e.Off); err != nil {
			t.Fatal(err)
		}
	}
	disktest.TestReader(t, openPath(t, path), want)
}

// encode returns a small image.
func encode(t testing.TB, c qcow2.Compression) []byte {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "qcow2"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sink, err := qcow2.Create(f, 1<<20, qcow2.Options{Compression: c})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sink.WriteAt(bytes.Repeat([]byte("imgbuild"), 20_000), 70_000); err != nil {
		t.Fatal(err)
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

func FuzzOpen(f *testing.F) {
	for _, c := range compressions {
		p := encode(f, c)
		f.Add(p[:112], p[len(p)-5<<16:])
	}
	// The header and the rest are apart, so that mutations hit both.
	f.Fuzz(func(t *testing.T, head, rest []byte) {
		p := append(append(head, make([]byte, max(0, 1<<16-len(head)))...), rest...)
		r, err := qcow2.Open(bytes.NewReader(p), int64(len(p)))
		if err != nil {
			return
		}
		disktest.Walk(t, r)
	})
}

func BenchmarkWrite(b *testing.B) {
	src := disktest.Samples()
	for name, c := range compressions {
		for _, s := range src {
			if s.Name != "mixed" && s.Name != "noise" {
				continue
			}
			b.Run(fmt.Sprintf("%s/%s", name, s.Name), func(b *testing.B) {
				b.SetBytes(s.Disk.Size())
				for b.Loop() {
					f, err := os.Create(filepath.Join(b.TempDir(), "qcow2"))
					if err != nil {
						b.Fatal(err)
					}
					sink, err := qcow2.Create(f, s.Disk.Size(), qcow2.Options{Compression: c})
					if err != nil {
						b.Fatal(err)
					}
					if err := errors.Join(disk.Copy(b.Context(), s.Disk, nil, sink), sink.Close(), f.Close()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
