package kernel

import (
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"os"
	"testing"
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
