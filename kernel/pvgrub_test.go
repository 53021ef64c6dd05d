package kernel

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/imgbuild/imgbuild/fault"
)

// TestWritePVGrub compares what a loader would put into memory.
func TestWritePVGrub(t *testing.T) {
	t.Parallel()
	path := os.Getenv("IMGBUILD_TEST_KERNEL")
	if path == "" {
		t.Skip("IMGBUILD_TEST_KERNEL names no kernel")
	}
	in, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var written, plain bytes.Buffer
	r := bytes.NewReader(in)
	ok, err := WritePVGrub(t.Context(), r, r.Size(), &written)
	if err != nil || !ok {
		t.Fatalf("WritePVGrub = %v, %v", ok, err)
	}
	if err := ExtractELF(t.Context(), r, r.Size(), &plain); err != nil {
		t.Fatal(err)
	}
	if written.Len() > plain.Len() {
		t.Errorf("%d bytes, more than the %d of the whole ELF", written.Len(), plain.Len())
	}
	got, gerr := elf.NewFile(bytes.NewReader(written.Bytes()))
	want, werr := elf.NewFile(bytes.NewReader(plain.Bytes()))
	if err := errors.Join(gerr, werr); err != nil {
		t.Fatal(err)
	}
	if got.Entry != want.Entry || len(got.Sections) != 0 || got.Progs[0].Type != elf.PT_NOTE {
		t.Errorf("entry %#x of %#x, %d sections, first segment %v", got.Entry, want.Entry, len(got.Sections), got.Progs[0].Type)
	}
	sameSegments(t, got, want, elf.PT_NOTE)
	sameSegments(t, got, want, elf.PT_LOAD)
	im, err := Identify(bytes.NewReader(written.Bytes()), int64(written.Len()))
	if err != nil || !im.PVH || !im.XenPV || im.Version == "" {
		t.Errorf("Identify = %+v, %v", im, err)
	}
}

func sameSegments(t *testing.T, got, want *elf.File, kind elf.ProgType) {
	t.Helper()
	a, b := segments(got, kind), segments(want, kind)
	if len(a) != len(b) || len(a) == 0 {
		t.Fatalf("%d segments of type %v instead of %d", len(a), kind, len(b))
	}
	for i := range a {
		x, xerr := io.ReadAll(a[i].Open())
		y, yerr := io.ReadAll(b[i].Open())
		if err := errors.Join(xerr, yerr); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(x, y) {
			t.Errorf("segment %d of type %v differs", i, kind)
		}
		if kind == elf.PT_LOAD && (a[i].Vaddr != b[i].Vaddr || a[i].Paddr != b[i].Paddr || a[i].Memsz != b[i].Memsz || a[i].Flags != b[i].Flags) {
			t.Errorf("segment %d is %+v instead of %+v", i, a[i].ProgHeader, b[i].ProgHeader)
		}
	}
}

func segments(f *elf.File, kind elf.ProgType) (list []*elf.Prog) {
	for _, p := range f.Progs {
		if p.Type == kind {
			list = append(list, p)
		}
	}
	return list
}

// pvELF is a kernel as far as WritePVGrub looks: notes, and a segment to load.
func pvELF(t testing.TB) []byte {
	t.Helper()
	le := binary.LittleEndian
	b := testELF(t, false)[:64]
	le.PutUint16(b[56:], 2) // e_phnum
	note := []byte("\x04\x00\x00\x00\x08\x00\x00\x00\x01\x00\x00\x00Xen\x00\x00\x10\x00\x00\x00\x00\x00\x00")
	const notesAt, loadAt = 64 + 2*56, 64 + 2*56 + 24
	for _, p := range []elf.Prog64{
		{Type: uint32(elf.PT_LOAD), Off: loadAt, Vaddr: 0x1234, Paddr: 0x1234, Filesz: 100, Memsz: 200},
		{Type: uint32(elf.PT_NOTE), Off: notesAt, Filesz: uint64(len(note))},
	} {
		b, _ = binary.Append(b, le, p)
	}
	return append(append(b, note...), bytes.Repeat([]byte{0x90}, 100)...)
}

func TestWritePVGrubLayout(t *testing.T) {
	t.Parallel()
	in := pvELF(t)
	var out bytes.Buffer
	ok, err := WritePVGrub(t.Context(), bytes.NewReader(in), int64(len(in)), &out)
	if err != nil || !ok {
		t.Fatalf("WritePVGrub = %v, %v", ok, err)
	}
	f, err := elf.NewFile(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	p := segments(f, elf.PT_LOAD)[0]
	if p.Off%segmentAlign != 0x1234%segmentAlign || int64(out.Len()) != int64(p.Off+p.Filesz) {
		t.Errorf("the segment lies at %#x in %d bytes", p.Off, out.Len())
	}
	plain := testELF(t, true) // enters by PVH alone
	if ok, err := WritePVGrub(t.Context(), bytes.NewReader(plain), int64(len(plain)), &out); ok || err != nil {
		t.Errorf("a kernel without the note: %v, %v", ok, err)
	}
	cut := in[:len(in)-1]
	if _, err := WritePVGrub(t.Context(), bytes.NewReader(cut), int64(len(cut)), &out); fault.KindOf(err) != fault.Input {
		t.Errorf("a truncated kernel: %v", err)
	}
}

// FuzzWritePVGrub: what is written is read again, and holds as many segments.
func FuzzWritePVGrub(f *testing.F) {
	f.Add(pvELF(f))
	f.Add(testBzImage(pvELF(f)))
	f.Add(testELF(f, true)[:256])
	f.Fuzz(func(t *testing.T, in []byte) {
		var out bytes.Buffer
		ok, err := WritePVGrub(t.Context(), bytes.NewReader(in), int64(len(in)), &out)
		if err != nil || !ok {
			return
		}
		if out.Len() > len(in)*(maxSegments+1)+maxSegments*(segmentAlign+56)+64 {
			t.Errorf("%d bytes became %d", len(in), out.Len())
		}
		if _, err := elf.NewFile(bytes.NewReader(out.Bytes())); err != nil {
			t.Errorf("what was written does not read: %v", err)
		}
	})
}
