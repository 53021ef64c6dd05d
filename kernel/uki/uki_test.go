package uki

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"os"
	"testing"
)

// tinyStub is the smallest PE32+ file with one section that parse accepts.
func tinyStub() []byte {
	le := binary.LittleEndian
	b := make([]byte, 0x600)
	copy(b, "MZ")
	le.PutUint32(b[0x3c:], 0x80)
	copy(b[0x80:], "PE\x00\x00")
	le.PutUint16(b[0x84:], 0x8664)
	le.PutUint16(b[0x86:], 1)
	le.PutUint16(b[0x94:], 240)
	opt := b[0x98:]
	le.PutUint16(opt, 0x20b)
	le.PutUint32(opt[32:], 0x1000)
	le.PutUint32(opt[36:], 0x200)
	le.PutUint32(opt[56:], 0x2000)
	le.PutUint32(opt[60:], 0x400)
	le.PutUint32(opt[108:], 16)
	sec := b[0x98+240:]
	copy(sec, ".text")
	le.PutUint32(sec[8:], 0x100)
	le.PutUint32(sec[12:], 0x1000)
	le.PutUint32(sec[16:], 0x200)
	le.PutUint32(sec[20:], 0x400)
	return b
}

func TestBuild(t *testing.T) {
	stubs := map[string][]byte{"tiny": tinyStub()}
	const systemd = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"
	if b, err := os.ReadFile(systemd); err == nil {
		stubs["systemd"] = b
	} else if os.Getenv("CI") == "true" {
		t.Fatal("apt-get install systemd-boot-efi")
	}
	for name, stub := range stubs {
		t.Run(name, func(t *testing.T) {
			im := Image{Stub: stub, OSRelease: []byte("ID=x\n"), Cmdline: "console=ttyS0", Kernel: bytes.Repeat([]byte{7}, 70001)}
			out, err := Build(im)
			if err != nil {
				t.Fatal(err)
			}
			// The standard library is the judge of the format.
			f, err := pe.NewFile(bytes.NewReader(out))
			if err != nil {
				t.Fatal(err)
			}
			for section, want := range map[string][]byte{".osrel": im.OSRelease, ".cmdline": []byte(im.Cmdline), ".linux": im.Kernel} {
				s := f.Section(section)
				if s == nil {
					t.Fatalf("no section %s", section)
				}
				got, err := s.Data()
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got[:s.VirtualSize], want) {
					t.Errorf("section %s differs", section)
				}
			}
			if f.Section(".initrd") != nil {
				t.Error("an empty initramfs has a section")
			}
			end := uint32(0)
			for _, s := range f.Sections {
				if s.VirtualAddress < end {
					t.Errorf("section %s overlaps the one before it", s.Name)
				}
				end = s.VirtualAddress + s.VirtualSize
			}
			if size := f.OptionalHeader.(*pe.OptionalHeader64).SizeOfImage; size < end {
				t.Errorf("image size %#x is below the last section's end %#x", size, end)
			}
		})
	}
}

func TestBuildRefuses(t *testing.T) {
	short := tinyStub()
	binary.LittleEndian.PutUint32(short[0x98+60:], 0x98+240+40) // header full
	for name, stub := range map[string][]byte{"empty": nil, "no signature": make([]byte, 512), "no room": short} {
		if _, err := Build(Image{Stub: stub, Kernel: []byte("k")}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzBuild(f *testing.F) {
	f.Add(tinyStub())
	f.Fuzz(func(t *testing.T, stub []byte) {
		Build(Image{Stub: stub, Kernel: []byte("kernel")}) // must not panic
	})
}
