package kconfig

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func tree(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func TestRead(t *testing.T) {
	s, err := Read(tree(map[string]string{
		"Kconfig":          "mainmenu \"Linux\"\nsource \"arch/$(SRCARCH)/Kconfig\"\nosource \"absent/Kconfig\"\nif NET && \\\n   BLOCK\nsource \"drivers/Kconfig\"\nendif\n",
		"arch/x86/Kconfig": "config X86\n\tdef_bool y\n\tselect PCI if ACPI\n\tselect NET\n",
		"drivers/Kconfig": `menu "Drivers"
	depends on PCI

choice
	prompt "Which"
	depends on SMP
config CARD
	tristate "A card" if EXPERT
	depends on X86 && \
		MMU
	select NET
	help
	  config INSIDE is text.

	    Indented deeper.
	  The end.

config BEHIND
	bool
endchoice
comment "Nothing"
	depends on BROKEN
config LAST
	int 'Number'
endmenu
`,
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := Symbols{
		"X86": {{File: "arch/x86/Kconfig", Line: 1, Type: "bool", Selects: []string{"PCI if ACPI", "NET"}}},
		"CARD": {{File: "drivers/Kconfig", Line: 7, Type: "tristate", Prompt: "A card",
			Depends: []string{"NET && BLOCK", "PCI", "SMP", "X86 && MMU"}, Selects: []string{"NET"},
			Help: "config INSIDE is text.\n\nIndented deeper.\nThe end."}},
		"BEHIND": {{File: "drivers/Kconfig", Line: 18, Type: "bool", Depends: []string{"NET && BLOCK", "PCI", "SMP"}}},
		"LAST":   {{File: "drivers/Kconfig", Line: 23, Type: "int", Prompt: "Number", Depends: []string{"NET && BLOCK", "PCI"}}},
	}
	if d := cmp.Diff(want, s); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"CARD", "X86"}, s.SelectedBy("NET")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"X86 if ACPI"}, s.SelectedBy("PCI")); d != "" {
		t.Error(d)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"nothing": {},
		"circle":  {"Kconfig": "config A\nsource \"Kconfig\"\n"},
		"large":   {"Kconfig": strings.Repeat("#\n", maxFile)},
	} {
		if s, err := Read(tree(files)); err == nil {
			t.Errorf("%s: read as %v", name, s)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("config A\n\tbool \"x\"\n\tdepends on B\n\thelp\n\t  text\n\nif A\nsource \"b\"\nendif\nmenu \"m\"\nendmenu\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Read(tree(map[string]string{"Kconfig": text, "b": text}))
		if err == nil && len(s) == 0 {
			t.Error("no symbols, and no error")
		}
	})
}
