package vmdk_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/imgbuild/imgbuild/disk"
	"github.com/imgbuild/imgbuild/disk/disktest"
	"github.com/imgbuild/imgbuild/disk/vmdk"
	"github.com/imgbuild/imgbuild/fault"
)

func TestFormat(t *testing.T) {
	for _, kind := range []vmdk.Type{vmdk.StreamOptimized, vmdk.MonolithicSparse, vmdk.MonolithicFlat, vmdk.SplitSparse, vmdk.SplitFlat} {
		slow := int64(0)
		if testing.Short() && strings.HasPrefix(string(kind), "twoGb") {
			slow = 1 << 34 // a thousand files
		}
		t.Run(string(kind), func(t *testing.T) {
			disktest.TestFormat(t, disktest.Format{
				Create: func(f *os.File, size int64) (disk.Sink, error) { return create(t, f, size, vmdk.Options{Type: kind}) },
				Open:   func(f *os.File, n int64) (disk.Reader, error) { return vmdk.OpenWith(f, n, beside(t, f.Name())) },
				Check:  func(t *testing.T, path string, want disk.Reader) { judge(t, path, want, kind) },
				Slow:   slow,
			})
		})
	}
}

// create makes a disk whose other files lie beside f.
func create(t testing.TB, f *os.File, size int64, opts vmdk.Options) (disk.Sink, error) {
	return vmdk.CreateSet(f, size, opts, func(name string) (io.WriterAt, error) {
		w, err := os.Create(filepath.Join(filepath.Dir(f.Name()), name))
		if err == nil {
			t.Cleanup(func() { w.Close() })
		}
		return w, err
	})
}

// beside opens the files beside an image.
func beside(t testing.TB, path string) disk.Opener {
	return func(name, format string) (disk.Reader, error) {
		if format != "raw" {
			return nil, fmt.Errorf("asked for format %q", format)
		}
		d, err := disk.OpenFile(filepath.Join(filepath.Dir(path), filepath.Base(name)))
		if err == nil {
			t.Cleanup(func() { d.Close() })
		}
		return d, err
	}
}

// judge asks qemu-img.
func judge(t *testing.T, path string, want disk.Reader, kind vmdk.Type) {
	if want.Size() == 0 {
		return // QEMU refuses VMDKs without capacity
	}
	qemu := disktest.Program(t, "qemu-img", "qemu-utils")
	// QEMU asks for every single grain: minutes for a disk of 2 TiB. Two types
	// stand for all at 9 GiB.
	slow := want.Size() > 1<<32 && kind != vmdk.StreamOptimized && kind != vmdk.SplitSparse
	if want.Size() < 1<<34 && !slow {
		disktest.Run(t, qemu, "check", "-f", "vmdk", path)
		disktest.Run(t, qemu, "compare", "-f", "vmdk", "-F", "raw", path, disktest.RawFile(t, want))
	}
	var info struct {
		VirtualSize int64 `json:"virtual-size"`
		Specific    struct {
			Data struct {
				CreateType string `json:"create-type"`
			}
		} `json:"format-specific"`
	}
	if err := json.Unmarshal([]byte(disktest.Run(t, qemu, "info", "-f", "vmdk", "--output=json", path)), &info); err != nil {
		t.Fatal(err)
	}
	if rounded := (want.Size() + 511) / 512 * 512; info.VirtualSize != rounded || info.Specific.Data.CreateType != string(kind) {
		t.Errorf("qemu-img says %+v, want %d bytes", info, rounded)
	}
}

// TestReadsQEMU reads what qemu-img writes, whose streamOptimized files have
// the grain directory in front.
func TestReadsQEMU(t *testing.T) {
	if testing.Short() {
		t.Skip("runs qemu-img many times")
	}
	qemu := disktest.Program(t, "qemu-img", "qemu-utils")
	for _, subformat := range []string{
		"streamOptimized", "monolithicSparse", "monolithicSparse,zeroed_grain=on", "monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat",
	} {
		t.Run(subformat, func(t *testing.T) {
			for _, s := range disktest.Samples() {
				if s.Disk.Size()%512 != 0 || s.Disk.Size() == 0 || s.Disk.Size() > 1<<34 {
					continue
				}
				path := filepath.Join(t.TempDir(), "vmdk")
				disktest.Run(t, qemu, "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat="+subformat, disktest.RawFile(t, s.Disk), path)
				disktest.TestReader(t, openPath(t, path), s.Disk)
			}
		})
	}
}

func openPath(t testing.TB, path string) disk.Reader {
	t.Helper()
	f, err := disk.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	r, err := vmdk.OpenWith(f, f.Size(), beside(t, path))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestDeltas reads a chain of deltas, of disks in one file and in several, and
// refuses one whose parent was changed since.
func TestDeltas(t *testing.T) {
	qemu, qemuIO := disktest.Program(t, "qemu-img", "qemu-utils"), disktest.Program(t, "qemu-io", "qemu-utils")
	for _, base := range []string{"monolithicSparse", "streamOptimized", "twoGbMaxExtentFlat"} {
		dir := t.TempDir()
		path := func(name string) string { return filepath.Join(dir, name) }
		disktest.Run(t, qemu, "create", "-f", "raw", path("raw"), "3G")
		disktest.Run(t, qemuIO, "-f", "raw", "-c", "write -P 1 0 1M", "-c", "write -P 2 2500M 100k", path("raw"))
		disktest.Run(t, qemu, "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat="+base, path("raw"), path("base.vmdk"))
		disktest.Run(t, qemu, "create", "-f", "vmdk", "-o", "zeroed_grain=on", "-b", path("base.vmdk"), "-F", "vmdk", path("one.vmdk"))
		disktest.Run(t, qemuIO, "-f", "vmdk", "-c", "write -P 3 64k 128k", "-c", "write -z 512k 128k", path("one.vmdk"))
		disktest.Run(t, qemu, "create", "-f", "vmdk", "-b", path("one.vmdk"), "-F", "vmdk", path("two.vmdk"))
		disktest.Run(t, qemuIO, "-f", "vmdk", "-c", "write -P 4 2500M 4k", path("two.vmdk"))
		disktest.Run(t, qemu, "convert", "-f", "vmdk", "-O", "raw", path("two.vmdk"), path("want"))
		want, err := disk.OpenFile(path("want"))
		if err != nil {
			t.Fatal(err)
		}
		defer want.Close()
		disktest.TestReader(t, openPath(t, path("two.vmdk")), want)

		disktest.Run(t, qemuIO, "-f", "vmdk", "-c", "write -P 9 0 4k", path("one.vmdk"))
		f, err := disk.OpenFile(path("two.vmdk"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		_, err = vmdk.OpenWith(f, f.Size(), beside(t, path("two.vmdk")))
		if err == nil || !strings.Contains(err.Error(), "was changed") {
			t.Errorf("%s: a parent that was changed: %v", base, err)
		}
	}
}

// TestDescriptorFiles reads descriptors as VMware's programs write them, with
// empty extents and offsets, and refuses what only ESXi reads.
func TestDescriptorFiles(t *testing.T) {
	dir := t.TempDir()
	flat := bytes.Repeat([]byte("flat"), 4096)
	if err := os.WriteFile(filepath.Join(dir, "a-flat.vmdk"), flat, 0o600); err != nil {
		t.Fatal(err)
	}
	open := func(extents string) (disk.Reader, error) {
		text := vmdk.DescriptorMagic + "\nversion=1\nencoding=\"UTF-8\"\nCID=00000001\nparentCID=FFFFFFFF\ncreateType=\"vmfs\"\n\n" + extents + "\nddb.x = \"y\"\n"
		return vmdk.OpenWith(strings.NewReader(text), int64(len(text)), beside(t, filepath.Join(dir, "a.vmdk")))
	}
	r, err := open("RW 8 ZERO\nRW 16 VMFS \"a-flat.vmdk\" 8\nRDONLY 8 FLAT \"a-flat.vmdk\" 0")
	if err != nil {
		t.Fatal(err)
	}
	want := disk.NewMemory(32 * 512)
	if _, err := want.WriteAt(flat[:24*512], 8*512); err != nil {
		t.Fatal(err)
	}
	disktest.TestReader(t, r, want)
	for extents, word := range map[string]string{
		"": "no extents", "RW x FLAT \"a-flat.vmdk\" 0": "no number", "RW 8 FLAT \"a-flat.vmdk": "quote",
		"RW 80 FLAT \"a-flat.vmdk\" 0": "cut short", "RW 8 FLAT \"none\" 0": "none", "RW 8 SESPARSE \"a-sesparse.vmdk\"": "SESPARSE",
		"NOACCESS 8 FLAT \"a-flat.vmdk\" 0": "not be read", "RW 8 SPARSE \"a-flat.vmdk\"": "magic",
	} {
		if _, err := open(extents); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", extents, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	qemu := disktest.Program(t, "qemu-img", "qemu-utils")
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	disktest.Run(t, qemu, "create", "-f", "vmdk", path("base"), "8M")
	disktest.Run(t, qemu, "create", "-f", "vmdk", "-b", path("base"), "-F", "vmdk", path("delta"))
	disktest.Run(t, qemu, "create", "-f", "vmdk", "-o", "subformat=monolithicFlat", path("other files"), "8M")
	disktest.Run(t, qemu, "create", "-f", "vmdk", "-o", "subformat=twoGbMaxExtentSparse", path("x"), "3G")
	if err := os.Rename(path("x-s001"), path("larger disk")); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"delta", "other files", "larger disk"} {
		p, err := os.ReadFile(path(word))
		if err != nil {
			t.Fatal(err)
		}
		_, err = vmdk.Open(bytes.NewReader(p), int64(len(p)))
		if err == nil || !strings.Contains(err.Error(), word) || fault.KindOf(err) != fault.Input || len(fault.HintsOf(err)) != 1 {
			t.Errorf("%s: %v %q", word, err, fault.HintsOf(err))
		}
	}
}

// encode returns the file of a small disk.
func encode(t testing.TB, content string, opts vmdk.Options) []byte {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "vmdk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sink, err := vmdk.Create(f, 40<<20, opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, off := range []int64{70_000, 39 << 20} {
		if _, err := sink.WriteAt([]byte(strings.Repeat(content, 10_000)), off); err != nil {
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

// TestLayout walks the file as an importer does, marker by marker: ascending
// grains, a table for each region, directory, footer, end, and then nothing.
func TestLayout(t *testing.T) {
	p := encode(t, "imgbuild", vmdk.Options{})
	word := binary.LittleEndian.Uint64
	if v, flags := binary.LittleEndian.Uint32(p[4:]), binary.LittleEndian.Uint32(p[8:]); v != 3 || flags != 0x30001 {
		t.Errorf("version %d, flags %#x", v, flags)
	}
	if rgd, gd := word(p[48:]), word(p[56:]); rgd != 0 || gd != 1<<64-1 {
		t.Errorf("redundant directory %#x, directory %#x", rgd, gd)
	}
	var seen []string
	last := int64(-1)
	for off := int(word(p[64:])) * 512; off < len(p); {
		value, size := int64(word(p[off:])), int(binary.LittleEndian.Uint32(p[off+8:]))
		if size > 0 {
			if value <= last {
				t.Errorf("grain of sector %d after %d", value, last)
			}
			last = value
			off += (12 + size + 511) / 512 * 512
			seen = append(seen, "grain")
			continue
		}
		kind := binary.LittleEndian.Uint32(p[off+12:])
		seen = append(seen, []string{"end", "table", "directory", "footer"}[kind])
		off += 512 + int(value)*512
	}
	const want = "grain grain table grain grain table directory footer end"
	if got := strings.Join(seen, " "); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if gd := int64(word(p[len(p)-1024+56:])); string(p[len(p)-1024:][:4]) != vmdk.Magic || gd*512 >= int64(len(p)) {
		t.Errorf("the footer says that the directory is in sector %d", gd)
	}
}

func TestDescriptor(t *testing.T) {
	text := func(p []byte) string { return strings.TrimRight(string(p[512:21*512]), "\x00") }
	got := text(encode(t, "imgbuild", vmdk.Options{Name: "hello-disk1.vmdk"}))
	for _, want := range []string{
		"# Disk DescriptorFile\nversion=1\nCID=", "\nparentCID=ffffffff\ncreateType=\"streamOptimized\"\n",
		"\nRW 81920 SPARSE \"hello-disk1.vmdk\"\n", "\nddb.adapterType = \"lsilogic\"\n", "\nddb.toolsVersion = \"2147483647\"\n",
		"\nddb.toolsInstallType = \"4\"\n", "\nddb.virtualHWVersion = \"4\"\n", "\nddb.geometry.cylinders = \"5\"\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the descriptor lacks %q:\n%s", want, got)
		}
	}
	cid := regexp.MustCompile(`CID=([0-9a-f]{8})\n`).FindStringSubmatch(got)
	if cid == nil || !strings.Contains(got, cid[1]+"\"\nddb.toolsInstallType") {
		t.Errorf("the CID is not the end of the long content ID:\n%s", got)
	}
	if other := text(encode(t, "IMGBUILD", vmdk.Options{Name: "hello-disk1.vmdk"})); other == got {
		t.Error("the content does not decide the content ID")
	}
	seeded := vmdk.Options{Seed: []byte("seed")}
	if a, b := text(encode(t, "imgbuild", seeded)), text(encode(t, "IMGBUILD", seeded)); a != b {
		t.Error("the seed does not decide the content ID")
	}
	if _, err := vmdk.Create(nil, 1<<20, vmdk.Options{Name: "a\"b"}); err == nil {
		t.Error("a name with a quote passed")
	}
}

func TestDamage(t *testing.T) {
	good := encode(t, "imgbuild", vmdk.Options{})
	for name, change := range map[string]func([]byte) []byte{
		"empty":       func(p []byte) []byte { return nil },
		"cut":         func(p []byte) []byte { return p[:len(p)-512] },
		"line ends":   func(p []byte) []byte { p[75], p[len(p)-1024+75] = '\n', '\n'; return p },
		"grain":       func(p []byte) []byte { p[128*512+20] ^= 0xff; return p },
		"wrong place": func(p []byte) []byte { p[128*512]++; return p },
	} {
		p := change(bytes.Clone(good))
		r, err := vmdk.Open(bytes.NewReader(p), int64(len(p)))
		if err == nil {
			_, err = r.ReadAt(make([]byte, 1<<20), 0)
		}
		if err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

func FuzzOpen(f *testing.F) {
	p := encode(f, "imgbuild", vmdk.Options{})
	f.Add(p[:1024], p[128*512:])
	// The header and the rest are apart, so that mutations hit both.
	f.Fuzz(func(t *testing.T, head, rest []byte) {
		p := append(append(head, make([]byte, max(0, 128*512-len(head)))...), rest...)
		r, err := vmdk.Open(bytes.NewReader(p), int64(len(p)))
		if err != nil {
			return
		}
		disktest.Walk(t, r)
	})
}

func BenchmarkWrite(b *testing.B) {
	for _, s := range disktest.Samples() {
		if s.Name != "mixed" && s.Name != "noise" {
			continue
		}
		b.Run(fmt.Sprint(s.Name), func(b *testing.B) {
			b.SetBytes(s.Disk.Size())
			for b.Loop() {
				f, err := os.Create(filepath.Join(b.TempDir(), "vmdk"))
				if err != nil {
					b.Fatal(err)
				}
				sink, err := vmdk.Create(f, s.Disk.Size(), vmdk.Options{})
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

// FuzzDescriptor reads descriptors that name one file.
func FuzzDescriptor(f *testing.F) {
	for _, extents := range []string{"RW 8 ZERO\nRW 16 VMFS \"x\" 8", "RW 81920 SPARSE \"x\"", "RW 8 FLAT \"x\" 0"} {
		f.Add(vmdk.DescriptorMagic + "\nCID=1\nparentCID=ffffffff\n" + extents + "\n")
	}
	f.Add(vmdk.DescriptorMagic + "\nCID=1\nparentCID=1\nparentFileNameHint=\"x\"\nRW 8 ZERO")
	file := encode(f, "imgbuild", vmdk.Options{})
	f.Fuzz(func(t *testing.T, text string) {
		content := disk.NewMemory(int64(len(file)))
		if _, err := content.WriteAt(file, 0); err != nil {
			t.Fatal(err)
		}
		r, err := vmdk.OpenWith(strings.NewReader(text), int64(len(text)), func(string, string) (disk.Reader, error) { return content, nil })
		if err != nil {
			return
		}
		disktest.Walk(t, r)
	})
}
