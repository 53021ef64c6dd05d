package kernel

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/imgbuild/imgbuild/fault"
)

// testELF is a kernel as far as Identify looks: one segment of notes, a
// banner, a configuration.
func testELF(t testing.TB, pvh bool) []byte {
	t.Helper()
	le := binary.LittleEndian
	note := make([]byte, 0, 32)
	kind := uint32(physEntryNote)
	if !pvh {
		kind = 3
	}
	for _, w := range []uint32{4, 8, kind} {
		note = le.AppendUint32(note, w)
	}
	note = append(note, "Xen\x00\x00\x10\x00\x00\x00\x00\x00\x00"...)

	elf := make([]byte, 64+56)
	copy(elf, elfMagic+"\x02\x01\x01")
	le.PutUint16(elf[16:], 2)    // ET_EXEC
	le.PutUint16(elf[18:], 0x3e) // EM_X86_64
	le.PutUint32(elf[20:], 1)    // EV_CURRENT
	le.PutUint64(elf[32:], 64)   // e_phoff
	le.PutUint16(elf[52:], 64)   // e_ehsize
	le.PutUint16(elf[54:], 56)   // e_phentsize
	le.PutUint16(elf[56:], 1)    // e_phnum
	ph := elf[64:]
	le.PutUint32(ph, 4)                      // PT_NOTE
	le.PutUint64(ph[8:], uint64(len(elf)))   // p_offset
	le.PutUint64(ph[32:], uint64(len(note))) // p_filesz
	elf = append(elf, note...)
	// The banner lies across the border of two search windows.
	elf = append(elf, make([]byte, scanWindow-5-len(elf))...)
	elf = append(elf, "Linux version 6.12.1-test (a@b) #1\n\x00"...)
	elf = append(elf, configMark...)
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write([]byte("# Automatically generated\nCONFIG_PVH=y\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	elf = append(elf, z.Bytes()...)
	return append(elf, "IKCFG_ED"...)
}

// testBzImage puts a payload behind a setup header of one sector.
func testBzImage(payload []byte) []byte {
	le := binary.LittleEndian
	h := make([]byte, 2*sectorSize)
	copy(h, "MZ")
	h[setupSectsAt] = 1
	le.PutUint16(h[bootFlagAt:], 0xaa55)
	copy(h[headerMagicAt:], headerMagic)
	le.PutUint16(h[protocolAt:], 0x020f)
	le.PutUint16(h[versionPtrAt:], 0x100)
	copy(h[0x300:], "6.12.1-test (a@b) #1")
	le.PutUint32(h[payloadOffsetAt:], 16)
	le.PutUint32(h[payloadLengthAt:], uint32(len(payload)))
	return append(append(h, make([]byte, 16)...), payload...)
}

// pack compresses as the kernel's build does (scripts/Makefile.lib).
func pack(t *testing.T, program, pkg string, args []string, in []byte) []byte {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		missing(t, pkg)
	}
	cmd := exec.Command(program, args...)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// missing skips a test that lacks a Debian package, but not in CI.
func missing(t *testing.T, pkg string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("Debian package not installed: ", pkg)
	}
	t.Skip("Debian package not installed: ", pkg)
}

func TestIdentify(t *testing.T) {
	elf := testELF(t, true)
	for _, c := range []struct {
		compression  Compression
		program, pkg string
		args         []string
	}{
		{Gzip, "gzip", "gzip", []string{"-n", "-9"}},
		{Bzip2, "bzip2", "bzip2", []string{"-9"}},
		{LZMA, "xz", "xz-utils", []string{"--format=lzma", "-6"}},
		{XZ, "xz", "xz-utils", []string{"--check=crc32", "--x86", "--lzma2=preset=6"}},
		{LZ4, "lz4", "lz4", []string{"-l", "-", "-"}},
		{Zstd, "zstd", "zstd", []string{"-19"}},
	} {
		t.Run(string(c.compression), func(t *testing.T) {
			payload := pack(t, c.program, c.pkg, c.args, elf)
			if c.compression != Gzip {
				payload = binary.LittleEndian.AppendUint32(payload, uint32(len(elf)))
			}
			checkImage(t, testBzImage(payload), elf, Image{
				Format: BzImage, Protocol: 0x020f, Version: "6.12.1-test", PVH: true, EFI: true,
				Compression: c.compression, Config: map[string]string{"PVH": "y"},
			})
		})
	}
	t.Run("none", func(t *testing.T) {
		checkImage(t, testBzImage(elf), elf, Image{
			Format: BzImage, Protocol: 0x020f, Version: "6.12.1-test", PVH: true, EFI: true,
			Compression: Uncompressed, Config: map[string]string{"PVH": "y"},
		})
	})
	t.Run("elf", func(t *testing.T) {
		checkImage(t, elf, elf, Image{Format: ELF, Version: "6.12.1-test", PVH: true, Config: map[string]string{"PVH": "y"}})
	})
	t.Run("not PVH", func(t *testing.T) {
		elf := testELF(t, false)
		checkImage(t, elf, elf, Image{Format: ELF, Version: "6.12.1-test", Config: map[string]string{"PVH": "y"}})
	})
}

func checkImage(t *testing.T, file, elf []byte, want Image) {
	t.Helper()
	got, err := Identify(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	var extracted bytes.Buffer
	if err := ExtractELF(context.Background(), bytes.NewReader(file), int64(len(file)), &extracted); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(extracted.Bytes(), elf) {
		t.Errorf("the extracted ELF differs: %d bytes, want %d", extracted.Len(), len(elf))
	}
}

func TestIdentifyRefuses(t *testing.T) {
	elf := testELF(t, true)
	whole := testBzImage(elf)
	old := bytes.Clone(whole)
	old[protocolAt] = 7
	beyond := bytes.Clone(whole)
	beyond[payloadLengthAt+3] = 0x7f
	arm := bytes.Clone(elf)
	arm[18] = 0xb7
	for name, file := range map[string][]byte{
		"empty":        nil,
		"text":         []byte(strings.Repeat("not a kernel\n", 100)),
		"cut":          whole[:len(whole)/2],
		"protocol 2.7": old,
		"beyond":       beyond,
		"arm64":        arm,
		"no ELF":       testBzImage([]byte("\x7fELF but no more than the magic")),
		"unknown":      testBzImage([]byte("some other compression\x00\x10\x00\x00")),
		"huge":         testBzImage([]byte("\x28\xb5\x2f\xfd some zstd \xff\xff\xff\xff")),
	} {
		if im, err := Identify(bytes.NewReader(file), int64(len(file))); fault.KindOf(err) != fault.Input {
			t.Errorf("%s: got %+v, %v; want an input fault", name, im, err)
		}
	}
}

func TestExtractELFStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	file := testBzImage(testELF(t, true))
	err := ExtractELF(ctx, bytes.NewReader(file), int64(len(file)), new(bytes.Buffer))
	if fault.KindOf(err) != fault.Interrupted {
		t.Errorf("a cancelled extraction gave %v", err)
	}
}

// A universal kernel is one that every road can boot.
func TestBuiltKernel(t *testing.T) {
	path := os.Getenv("IMGBUILD_TEST_KERNEL")
	if path == "" {
		t.Skip("IMGBUILD_TEST_KERNEL names no kernel")
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	im, err := Identify(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	if im.Format != BzImage || !im.PVH || !im.EFI || im.Compression != Zstd || im.Version == "" {
		t.Errorf("the universal kernel reads as %+v", im)
	}
}

func FuzzIdentify(f *testing.F) {
	elf := testELF(f, true)
	f.Add(elf[:256])
	f.Add(testBzImage(elf[:256]))
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write(elf[:256]); err != nil {
		f.Fatal(err)
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(testBzImage(z.Bytes()))
	for _, head := range []string{"BZh9", "\x5d\x00\x00\x00\x01", "\xfd7zXZ\x00", "\x02\x21\x4c\x18\x08\x00\x00\x00", "\x28\xb5\x2f\xfd\x04\x58"} {
		f.Add(testBzImage([]byte(head + "some packed bytes\x00\x01\x00\x00")))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		// What unpacks to much is slow without telling anything new.
		if b, err := readBzImage(bytes.NewReader(file), int64(len(file))); len(file) > 1<<20 || err == nil && b.unpackedSize() > 1<<20 {
			return
		}
		im, err := Identify(bytes.NewReader(file), int64(len(file)))
		if err == nil && im.Format == "" {
			t.Error("identified as nothing")
		}
	})
}
