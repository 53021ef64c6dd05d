package guest

import (
	"bytes"
	"debug/elf"
	"os"
	"testing"

	"github.com/imgbuild/imgbuild/fault"
)

// Either the program is there and can be PID 1 of an empty root, or its
// absence is explained.
func TestInit(t *testing.T) {
	program, err := Init()
	if _, statErr := os.Stat("bin/init"); statErr != nil {
		if fault.KindOf(err) != fault.Environment || len(fault.HintsOf(err)) == 0 {
			t.Fatalf("an absent init gave %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	if f.Machine != elf.EM_X86_64 {
		t.Errorf("init is for %v", f.Machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("init needs a dynamic loader")
		}
	}
}
